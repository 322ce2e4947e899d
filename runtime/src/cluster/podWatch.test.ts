import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
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

test("a watch continues where it ended, and only changes that mean something for the session are reported", async () => {
  const pod = (id: string, resourceVersion: string, ready: "True" | "False") => ({
    metadata: {
      name: `agent-${id}`,
      resourceVersion,
      labels: { "berth.dev/session": id },
      creationTimestamp: "2026-01-01T12:00:00Z",
    },
    status: { podIP: "10.0.0.1", conditions: [{ type: "Ready", status: ready }] },
  });
  const event = (type: string, object: object) => JSON.stringify({ type, object });
  const ended = { metadata: pod("d", "3", "False").metadata, status: { phase: "Succeeded" } };
  const lists = [
    { metadata: { resourceVersion: "10" }, items: [pod("a", "1", "False"), pod("b", "2", "True"), ended] },
    {
      metadata: { resourceVersion: "20" },
      items: [pod("a", "11", "True"), pod("c", "14", "False"), pod("e", "15", "True"), ended],
    },
  ];
  /** For each watch, the events after which the API server ends the watch, or the status of its answer. */
  const answers = [
    [
      event("MODIFIED", pod("a", "11", "True")),
      event("MODIFIED", pod("a", "12", "True")),
      event("ADDED", pod("f", "13", "False")),
      event("DELETED", pod("f", "14", "False")),
      event("BOOKMARK", { metadata: { resourceVersion: "15" } }),
    ],
    410,
    [event("DELETED", pod("c", "21", "False"))],
  ];
  const asked: string[] = [];
  const { config } = await kubeApi((request, response) => {
    const query = new URL(request.url ?? "", "http://localhost").searchParams;
    if (query.has("watch")) asked.push(query.get("resourceVersion") ?? "none");
    const answer = query.has("watch") ? answers.shift() : [JSON.stringify(lists.shift())];
    if (typeof answer === "number") return void response.writeHead(answer).end();
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    if (answer !== undefined) response.end(`${answer.join("\n")}\n`);
  });
  const seen: string[] = [];
  let restarts = 0;
  const watch = new PodWatch(config, config.makeApiClient(CoreV1Api), {
    namespace: "tenant-acme",
    onChange: (id, pod, view) => void seen.push(`${id} ${pod?.metadata?.resourceVersion} ${view.is}`),
    onRestart: () => void restarts++,
    logger: silent,
    backoffLimitMs: 0,
  });
  onTestFinished(() => watch.stop());
  await until(
    "the fourth watch is open",
    20,
    () => asked,
    ({ length }) => length === 4,
  );
  expect(asked).toEqual(["10", "15", "20", "21"]);
  // Of the first list, only an ended pod; of all new pods, none that only needs time.
  const reported = ["d 3 finished", "a 11 ready", "f 14 absent", "e 15 ready", "b undefined absent", "c 21 absent"];
  expect(seen).toEqual(reported);
  const since = new Date("2026-01-01T12:00:00Z");
  const ready = { view: { is: "ready", ip: "10.0.0.1" }, since };
  const finished = { view: { is: "finished", reason: "The agent exited" }, since };
  expect(await watch.pods()).toEqual(new Map(Object.entries({ a: ready, d: finished, e: ready })));
  expect(restarts).toBe(1);
});

test("a watch without events and bookmarks counts as broken and begins again", async () => {
  let watches = 0;
  const { config } = await kubeApi((request, response) => {
    const isWatch = request.url?.includes("watch=true");
    if (isWatch) watches += 1;
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    if (!isWatch) response.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items: [] }));
  });
  const more = { onChange: () => {}, onRestart: () => {}, logger: silent, silenceMs: 50, backoffLimitMs: 0 };
  const watch = new PodWatch(config, config.makeApiClient(CoreV1Api), { namespace: "tenant-acme", ...more });
  onTestFinished(() => watch.stop());
  await until("the watch begins again", 20, () => watches > 1);
});
