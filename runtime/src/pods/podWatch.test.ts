import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { PodWatch } from "./podWatch.ts";

test("one that is stopped while it lists the pods leaves no watch behind", async () => {
  const watches = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    if (!request.url?.includes("watch=true")) return void server.emit("list", response);
    watches.add(response.on("close", () => watches.delete(response)));
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "test", server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    { name: "test" },
  );
  const watch = new PodWatch(config, config.makeApiClient(CoreV1Api), {
    namespace: "tenant-acme",
    onChange: () => {},
    onRestart: () => {},
    logger: silent,
  });
  const [list] = (await once(server, "list")) as [ServerResponse];
  await watch.stop();
  const pods = { kind: "PodList", apiVersion: "v1", metadata: { resourceVersion: "1" }, items: [] };
  list.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(pods));
  await sleep(500);
  expect(watches.size).toBe(0);
});
