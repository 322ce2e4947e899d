import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api } from "@kubernetes/client-node";
import { onTestFinished, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { kubeApi } from "../testing/kubeApi.ts";
import { PodWatch } from "./podWatch.ts";

test("a watch that is stopped while it lists the pods leaves no open connection", async () => {
  /** The open watches and their URLs. */
  const watches = new Map<ServerResponse, string>();
  const ofNamespace = (namespace: string) => [...watches.values()].filter((url) => url.includes(`/${namespace}/`));
  const { server, config } = await kubeApi((request, response) => {
    if (!request.url?.includes("watch=true")) return void server.emit("list", response);
    watches.set(
      response.on("close", () => watches.delete(response)),
      request.url,
    );
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
  });
  const open = (namespace: string) => {
    const more = { onChange: () => {}, onRestart: () => {}, logger: silent };
    return new PodWatch(config, config.makeApiClient(CoreV1Api), { namespace, ...more });
  };
  const pods = { kind: "PodList", apiVersion: "v1", metadata: { resourceVersion: "1" }, items: [] };
  const answer = (list: ServerResponse) =>
    list.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(pods));
  const watch = open("tenant-acme");
  const [list] = (await once(server, "list")) as [ServerResponse];
  await watch.stop();
  answer(list);
  // The second watch begins after the time at which the first watch would have begun if its stop had no effect.
  server.on("list", answer);
  const later = open("tenant-beta");
  onTestFinished(() => later.stop());
  await until(
    "the second watch is open",
    20,
    () => ofNamespace("tenant-beta"),
    ({ length }) => length === 1,
  );
  await until(
    "the first watch is closed",
    20,
    () => ofNamespace("tenant-acme"),
    ({ length }) => length === 0,
  );
});
