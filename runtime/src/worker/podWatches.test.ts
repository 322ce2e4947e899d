import type { ServerResponse } from "node:http";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api } from "@kubernetes/client-node";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { silent } from "../testing/fixtures.ts";
import { kubeApi } from "../testing/kubeApi.ts";
import { PodWatches, type PodWatchesOptions } from "./podWatches.ts";

/** The watches of a process on a fake API server, which has no pods until the test sends an event. */
async function open(namespaces: string[], options: PodWatchesOptions = {}) {
  const streams = new Map<ServerResponse, string>();
  const seen = { lists: 0, connections: 0 };
  const { server, config } = await kubeApi((request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    if (!searchParams.has("watch")) {
      seen.lists += 1;
      response.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items: [] }));
      return;
    }
    const namespace = pathname.split("/")[4] ?? "";
    streams.set(
      response.on("close", () => streams.delete(response)),
      namespace,
    );
  });
  server.on("connection", () => (seen.connections += 1));
  const triggered: string[] = [];
  const queue = { trigger: (id: string) => void triggered.push(id) } as unknown as SessionQueue;
  let change = () => {};
  const tenants = { namespaces: () => namespaces, onChange: (listener: () => void) => (change = listener) };
  const reconciler = { displaced: async () => {} };
  const core = config.makeApiClient(CoreV1Api);
  const watches = new PodWatches(config, core, tenants, queue, reconciler, new Metrics(), silent, options);
  watches.onApplicationBootstrap();
  onTestFinished(() => watches.onApplicationShutdown());
  const watched = () => [...streams.values()].sort();
  return {
    watches,
    seen,
    triggered,
    change: () => change(),
    watched,
    areWatched: (expected: string[]) =>
      until(`${expected} are watched`, 20, watched, (now) => now.join() === expected.join()),
    /** Says in all watches that the pod of a session was deleted. */
    remove: (id: string) => {
      const object = { metadata: { resourceVersion: "2", labels: { "berth.dev/session": id } } };
      for (const stream of streams.keys()) stream.write(`${JSON.stringify({ type: "DELETED", object })}\n`);
    },
    /** Ends all watches, as an API server does from time to time. */
    end: () => {
      for (const stream of streams.keys()) stream.end();
    },
  };
}

test("only the leader watches; a process that leads again soon has not stopped its watches", async () => {
  const { watches, seen, areWatched, watched, change } = await open(["acme", "beta"], { handoverMs: 1_000 });
  change();
  await expect(watches.pods("acme")).rejects.toThrow("is not watched");
  watches.lead(true);
  expect(await watches.pods("acme")).toEqual(new Map());
  await areWatched(["acme", "beta"]);
  watches.lead(false);
  watches.lead(true);
  expect([watched(), seen.lists]).toEqual([["acme", "beta"], 2]);
  watches.lead(false);
  await areWatched([]);
  await expect(watches.pods("acme")).rejects.toThrow("is not watched");
});

test("the watches follow the tenants file", async () => {
  const namespaces = ["acme"];
  const { watches, areWatched, change } = await open(namespaces, { handoverMs: 0 });
  watches.lead(true);
  await areWatched(["acme"]);
  namespaces.splice(0, 1, "beta");
  change();
  await areWatched(["beta"]);
});

test("a leader that shuts down watches until the next leader has begun", async () => {
  const { watches, areWatched, remove, triggered } = await open(["acme"], { handoverMs: 2_000 });
  watches.lead(true);
  await areWatched(["acme"]);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const ended = watches.onApplicationShutdown();
  remove("a");
  await until("the deleted pod is reported", 20, () => triggered.includes("a"));
  vi.advanceTimersByTime(2_000);
  vi.useRealTimers();
  await ended;
  await areWatched([]);
});

test("the watches of a process keep their connections", async () => {
  const namespaces = ["acme", "beta", "gamma"];
  const { watches, areWatched, end, seen } = await open(namespaces, { handoverMs: 0 });
  watches.lead(true);
  await areWatched(namespaces);
  const before = seen.connections;
  for (let round = 0; round < 3; round += 1) {
    end();
    await areWatched([]);
    await areWatched(namespaces);
  }
  expect(seen.connections).toBe(before);
});
