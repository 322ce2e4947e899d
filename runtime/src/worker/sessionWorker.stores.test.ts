import { until } from "@berth/testing/until.ts";
import { ApiException } from "@kubernetes/client-node";
import { expect, onTestFinished, test, vi } from "vitest";
import { addJobMetrics } from "../queue/jobMetrics.ts";
import { connectBlockingRedis } from "../queue/redis.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { recordsOn } from "../store/records.ts";
import { rowsSince, sweptRows } from "../store/sweptRows.ts";
import { Metrics } from "../telemetry/metrics.ts";
import {
  cipher,
  emptyRedis,
  freshDatabase,
  patienceMs,
  session,
  sessionOf,
  silent,
  storesConfig,
} from "../testing/fixtures.ts";
import type { Reconciliation } from "./reconciler.ts";
import { SessionWorker } from "./sessionWorker.ts";
import { Sweep } from "./sweep.ts";

/** A queue on an empty Redis, and a worker that runs `reconcile` for each job. */
async function open(reconcile: (sessionId: string) => Promise<Reconciliation>, { start = true } = {}) {
  const { name, database } = await freshDatabase();
  const redis = await emptyRedis();
  const queue = new SessionQueue(redis, silent, patienceMs);
  const store = recordsOn(database, cipher, { generation: 0 });
  const metrics = new Metrics(patienceMs);
  addJobMetrics(metrics, queue);
  const blocking = connectBlockingRedis(storesConfig(name, ""), silent);
  const worker = new SessionWorker(blocking, queue, { reconcile }, metrics, silent);
  if (start) worker.onApplicationBootstrap();
  onTestFinished(async () => {
    await worker.onApplicationShutdown();
    await queue.close();
    blocking.disconnect();
  });
  return { queue, redis, store, database, metrics, worker };
}

const settled: Reconciliation = { outcome: "settled", session: session() };

/** Like `open`, with a worker that is not started yet and records for which sessions it reconciles. */
async function openRecording() {
  const reconciled: string[] = [];
  const reconcile = async (id: string) => {
    reconciled.push(id);
    return settled;
  };
  return { reconciled, ...(await open(reconcile, { start: false })) };
}

/** A reconcile whose calls wait until the test continues them. */
function gate() {
  const waiting: (() => void)[] = [];
  let reconciles = 0;
  let isOpen = false;
  return {
    reconciles: () => reconciles,
    reconcile: async () => {
      reconciles += 1;
      if (!isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
      return settled;
    },
    letOneGo: async () => {
      await until("a reconcile waits", 30, () => waiting.length > 0);
      waiting.shift()?.();
    },
    letAllGo: () => {
      isOpen = true;
      for (const go of waiting) go();
    },
  };
}

const idle = { waiting: 0, active: 0, delayed: 0 };
const isEmpty = ({ waiting, active }: typeof idle) => waiting === 0 && active === 0;

test("triggers that come before the reconcile become one reconcile", async () => {
  const { reconciled, queue, worker } = await openRecording();
  for (const id of ["a", "a", "b", "a"]) await queue.add(id);
  worker.onApplicationBootstrap();
  await until(
    "the queue is empty",
    30,
    () => queue.counts(),
    (counts) => reconciled.length > 0 && isEmpty(counts),
  );
  expect(reconciled).toEqual(["a", "b"]);
});

test("urgent reconciles overtake those that are due soon, and these overtake the others, also if a session has a job", async () => {
  const { reconciled, queue, worker } = await openRecording();
  for (const id of ["again", "make-1", "end"]) await queue.add(id, "later");
  for (const id of ["make-1", "make-2"]) await queue.add(id, "soon");
  for (const id of ["ready", "end", "ready"]) await queue.add(id);
  for (const id of ["ready", "make-1"]) await queue.add(id, "later");
  expect(await queue.counts()).toEqual({ waiting: 5, active: 0, delayed: 0 });
  expect(await queue.oldestWaitingSeconds()).toBeGreaterThan(0);
  worker.onApplicationBootstrap();
  await until(
    "all are reconciled",
    30,
    () => reconciled,
    ({ length }) => length === 5,
  );
  expect(reconciled).toEqual(["ready", "end", "make-1", "make-2", "again"]);
});

test("a retry and a session's next step are as urgent as the job before; a reconcile after a pause is not urgent", async () => {
  const done = new Set<string>();
  const { queue } = await open(async (id) => {
    if (done.has(id)) return settled;
    done.add(id);
    if (id.includes("fails")) throw new Error("the API server is away");
    return { outcome: "waiting", session: session(), againMs: id.includes("continues") ? 0 : 1 };
  });
  const trigger = vi.spyOn(queue, "trigger");
  const urgencies = ["urgent", "soon", "later"] as const;
  for (const urgency of urgencies)
    for (const what of ["fails", "continues", "waits"]) await queue.add(`${urgency} ${what}`, urgency);
  const asked = () => trigger.mock.calls.map(([id, urgency]) => `${id}: ${urgency}`);
  await until("each is triggered again", 30, asked, ({ length }) => length === 9);
  expect(new Set(asked())).toEqual(
    new Set(
      urgencies.flatMap((urgency) => [
        `${urgency} fails: ${urgency}`,
        `${urgency} continues: ${urgency}`,
        `${urgency} waits: later`,
      ]),
    ),
  );
});

test("a trigger during the session's reconcile causes exactly one more reconcile", async () => {
  const { reconcile, letOneGo, reconciles } = gate();
  const { queue, metrics } = await open(reconcile);
  await queue.add("a");
  await until("the first reconcile begins", 30, reconciles, (count) => count === 1);
  for (let count = 0; count < 5; count += 1) await queue.add("a");
  await letOneGo();
  await until("the second reconcile begins", 30, reconciles, (count) => count === 2);
  await letOneGo();
  const ended = async () => (await metrics.reconciles.get()).values[0]?.value;
  await until("two reconciles have ended", 30, ended, (count) => count === 2);
  await until(
    "no job runs",
    30,
    () => queue.counts(),
    ({ active }) => active === 0,
  );
  expect(await queue.counts()).toEqual(idle);
  expect(reconciles()).toBe(2);
});

test("a reconcile that fails is repeated", async () => {
  let reconciles = 0;
  const { queue } = await open(async () => {
    reconciles += 1;
    if (reconciles < 3) throw new Error("the API server is away");
    return settled;
  });
  await queue.add("a");
  await until(
    "there was a third reconcile",
    30,
    () => reconciles,
    (count) => count === 3,
  );
});

test("a failed reconcile waits as long as the API server demands; a trigger meanwhile does not wait", async () => {
  let reconciles = 0;
  const { queue } = await open(async () => {
    reconciles += 1;
    if (reconciles === 1) throw new ApiException(429, "HTTP", "", { "retry-after": "50" });
    return settled;
  });
  const timers = vi.spyOn(globalThis, "setTimeout");
  onTestFinished(() => timers.mockRestore());
  await queue.add("a");
  await until(
    "the reconcile has failed",
    30,
    () => queue.counts(),
    ({ active }) => reconciles === 1 && active === 0,
  );
  expect(await queue.counts()).toEqual(idle);
  expect(timers.mock.calls.map(([, ms]) => ms)).toContain(50_000);
  await queue.add("a");
  await until(
    "there was a second reconcile",
    30,
    () => reconciles,
    (count) => count >= 2,
  );
});

test("a Redis that lost its data costs only latency: the sweep finds every session in a changing state", async () => {
  const reconciled = new Set<string>();
  const { queue, redis, store, database } = await open(async (id) => {
    reconciled.add(id);
    return settled;
  });
  const request = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
  const made = sessionOf(await store.creation.create(request, { name: "test" }));
  await store.commands.apply(made, { type: "admitted" }, { name: "test" });
  await redis.flushall();
  const sweep = new Sweep({
    isLeader: () => true,
    namespaces: () => ["tenant-acme"],
    pods: async () => new Map(),
    others: async () => new Map(),
    rows: (ids) => sweptRows(database, ids, []),
    rowsSince: () => rowsSince(database),
    trigger: (id, urgency) => queue.add(id, urgency),
    removeOrphan: async () => {},
    logger: silent,
    intervalMs: 50,
  });
  sweep.onApplicationBootstrap();
  onTestFinished(() => sweep.onApplicationShutdown());
  await until(
    "the session is reconciled",
    30,
    () => reconciled,
    (ids) => ids.has(made.id),
  );
  await redis.flushall();
  reconciled.clear();
  await until(
    "the session is reconciled",
    30,
    () => reconciled,
    (ids) => ids.has(made.id),
  );
});

test("the metric that the worker's autoscaler reads counts the waiting jobs", async () => {
  const { reconcile, letAllGo } = gate();
  const { queue, metrics } = await open(reconcile);
  for (let count = 0; count < 13; count += 1) await queue.add(`session-${count}`);
  await until(
    "ten jobs run",
    30,
    () => queue.counts(),
    ({ active }) => active === 10,
  );
  expect(await metrics.registry.metrics()).toContain('bullmq_waiting_jobs{queue="agent-sessions"} 3');
  letAllGo();
});
