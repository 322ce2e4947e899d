import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { readCluster, unreadText } from "./cluster.ts";

/** Starts a fake Kubernetes API server. Returns the access to it, and a function that ends it. */
async function fake(answer: RequestListener) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const end = () => new Promise((done) => server.close(done));
  onTestFinished(() => void end());
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: "fake", server: url, skipTLSVerify: true }, { name: "fake" });
  return { access: { context: "", kubeconfig: config.exportConfig() }, end };
}

const answers: Record<string, unknown> = {
  "/version": { gitVersion: "v1.34.1" },
  "/apis/apiregistration.k8s.io/v1/apiservices": {
    items: [{ metadata: { name: "v1.apps" }, spec: { group: "apps" } }],
  },
};

test("readCluster() reads each fact, also if the API server refuses others", async () => {
  const { access } = await fake(({ url = "" }, response) => {
    response.writeHead(url in answers ? 200 : 403, { "content-type": "application/json" });
    response.end(JSON.stringify(answers[url] ?? {}));
  });
  const found = await readCluster(access, "berth");
  const refused = "the API server answers HTTP 403";
  const others = ["autoscalers", "namespaces", "priorityClasses", "apiServers"];
  expect(found).toEqual({
    version: "v1.34.1",
    apis: [{ name: "v1.apps", group: "apps", service: null }],
    unread: Object.fromEntries(others.map((fact) => [fact, refused])),
  });
  expect(unreadText(found)).toMatch(/^the \w+, .*EndpointSlice `kubernetes`.* \(the API server answers HTTP 403\)$/);
});

test("a cluster that does not answer gives no fact, but the reason for each", async () => {
  const { access, end } = await fake(() => {});
  await end();
  const { unread, ...facts } = await readCluster(access, "berth");
  expect(facts).toEqual({});
  const reasons = Object.values(unread);
  expect(reasons).toHaveLength(6);
  for (const reason of reasons) expect(reason).toContain("ECONNREFUSED");
});
