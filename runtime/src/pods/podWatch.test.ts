import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { kubeApi } from "../testing/kubeApi.ts";
import { PodWatch } from "./podWatch.ts";

test("one that is stopped while it lists the pods leaves no watch behind", async () => {
  const watches = new Set<ServerResponse>();
  const { server, config } = await kubeApi((request, response) => {
    if (!request.url?.includes("watch=true")) return void server.emit("list", response);
    watches.add(response.on("close", () => watches.delete(response)));
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
  });
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
