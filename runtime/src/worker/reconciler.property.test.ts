/**
 * Tests the reconciler with any events, in any order: some events are repeated, late or missing. No session may be lost,
 * duplicated or leaked.
 */
import fc from "@berth/testing/fast-check.ts";
import { expect, test, vi } from "vitest";
import { isFinal, type SessionEvent } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { silent, tenant } from "../testing/fixtures.ts";
import { type Fault, Model } from "../testing/model.ts";
import { Reconciler } from "./reconciler.ts";

const wishes = {
  stop: { type: "stop", cause: "user", reason: "Stopped by the user" },
  suspend: { type: "suspend", reason: "Suspended by the user" },
  resume: { type: "resume", reason: "Resumed by the user" },
} satisfies Record<string, SessionEvent>;
const harms = ["finished", "broken", "displaced", "deleted", "vanished"] as const;

const ids = ["one", "two"];
const [id] = ids as [string];
/** Reconciles are frequent. */
const reconciles = ["reconcile", "reconcile", "reconcile", "reconcile as admitted"] as const;
const anyStep = fc.record({
  id: fc.constantFrom(...ids),
  ticks: fc.nat(8),
  does: fc.constantFrom(
    ...reconciles,
    "progress",
    "progress",
    ...(Object.keys(wishes) as (keyof typeof wishes)[]),
    ...harms,
    "expire",
  ),
});
const harmless = fc.record({
  id: fc.constant("one"),
  ticks: fc.nat(8),
  does: fc.constantFrom(...reconciles, "progress", "suspend", "resume"),
});
const anyFaults = fc.infiniteStream(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant<Fault>("none") },
    { weight: 1, arbitrary: fc.constantFrom<Fault>("before", "after", "quota") },
  ),
);
type Step = { id: string; does: string; ticks: number };

function open(changes: Parameters<typeof tenant>[1] = {}) {
  const model = new Model();
  const acme = tenant("acme", changes);
  /** The tenants file as this worker has read it. */
  const tenants = { get: (): Tenant | undefined => acme, generation: 0, isClosed: () => false };
  const reconciler = new Reconciler({
    queries: model.queries,
    commands: model.commands,
    objects: model.objects,
    planner: model.planner,
    logs: model.logs,
    tenants,
    limits: { startTimeoutSeconds: 300, deadNodeSeconds: 300 },
    metrics: new Metrics(),
    logger: silent,
  });
  /** Ends the faults: the cluster makes progress, and the sweep triggers all sessions. */
  const settle = async () => {
    for (let round = 0; round < 30; round += 1) {
      for (const id of ids) {
        await reconciler.reconcile(id);
        model.progress(id);
      }
    }
  };
  return { model, reconciler, tenants, settle };
}

/** From now on, each session has been in its state for so many seconds. */
function stayInState(model: Model, secondsInState: number): void {
  const { findTimed } = model.queries;
  model.queries.findTimed = async (id) => {
    const found = await findTimed(id);
    return found && { ...found, secondsInState };
  };
}

/**
 * Runs the steps one after the other. A step `reconcile` only starts a reconcile, which then runs beside earlier ones. After
 * each step, the scheduler lets as many waiting calls continue as the step has ticks. So some reconciles are very late.
 */
async function play(
  steps: Step[],
  faults: Iterable<Fault>,
  scheduler: fc.Scheduler,
  changes: Parameters<typeof tenant>[1],
) {
  const { model, reconciler, settle } = open(changes);
  const stream = faults[Symbol.iterator]();
  model.fault = () => stream.next().value ?? "none";
  model.pause = () => scheduler.schedule(Promise.resolve());
  for (const id of ids) model.create(id);

  const reconciles: Promise<unknown>[] = [];
  for (const { id, does, ticks } of steps) {
    const isAdmitted = does === "reconcile as admitted";
    if (does === "reconcile" || isAdmitted) reconciles.push(reconciler.reconcile(id, { isAdmitted }).catch(() => {}));
    else if (does === "progress") model.progress(id);
    else if (does === "expire") model.expire(id);
    else if (does in wishes) model.wish(id, wishes[does as keyof typeof wishes]);
    else model.harm(id, does as (typeof harms)[number]);
    for (let tick = 0; tick < ticks && scheduler.count() > 0; tick += 1) await scheduler.waitNext(1);
  }
  await scheduler.waitFor(Promise.all(reconciles));

  model.fault = () => "none";
  model.pause = async () => {};
  await settle();
  return { model, settle };
}

/** Checks that rows and cluster match and that the trail contains every change once. */
function audit(model: Model): void {
  for (const id of ids) {
    const states = model.trail.filter((event) => event.id === id).map(({ state }) => state);
    const final = states.findIndex(isFinal);
    expect([id, states.length - 1]).toEqual([id, final === -1 ? states.length - 1 : final]);
  }
  for (const [id, row] of model.rows) {
    const there = model.cluster.get(id);
    expect(["running", "suspended", "stopped", "failed"]).toContain(row.state);
    const kept = isFinal(row.state) && row.workspaceUntil !== null;
    expect([id, row.state, there?.pod !== undefined]).toEqual([id, row.state, row.state === "running"]);
    expect([id, row.state, there?.volumeClaim === true]).toEqual([id, row.state, !isFinal(row.state) || kept]);
    const versions = model.trail.filter((event) => event.id === id).map(({ version }) => version);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
  }
}

const runs = { numRuns: 200 };

test.each(["end", "resume"] as const)(
  "rows and cluster match once the faults are over, and every session can end (onDrain: %s)",
  async (onDrain) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyStep, { maxLength: 80, size: "max" }),
        anyFaults,
        fc.scheduler(),
        fc.boolean(),
        async (steps, faults, scheduler, keeps) => {
          const { model, settle } = await play(steps, faults, scheduler, { onDrain, retentionSeconds: keeps ? 60 : 0 });
          audit(model);
          for (const id of ids) model.wish(id, wishes.stop);
          await settle();
          for (const row of model.rows.values()) expect(isFinal(row.state)).toBe(true);
          audit(model);
          for (const id of ids) model.expire(id);
          await settle();
          expect(model.cluster.size).toBe(0);
        },
      ),
      runs,
    );
  },
);

test("a session that nobody ended and that nothing happened to still exists, whatever failed meanwhile", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(harmless, { minLength: 40, maxLength: 120, size: "max" }),
      anyFaults,
      fc.scheduler(),
      async (steps, faults, scheduler) => {
        const { model, settle } = await play(steps, faults, scheduler, {});
        for (const row of model.rows.values()) expect(["running", "suspended"]).toContain(row.state);
        for (const id of ids) model.wish(id, wishes.resume);
        await settle();
        for (const row of model.rows.values()) expect(row.state).toBe("running");
        audit(model);
      },
    ),
    runs,
  );
});

test.each([
  ["waits while the file does not name its tenant, and then comes up", "absent", 7, "queued", "running"],
  ["waits until the worker has read that its tenant is open again", "closed", 6, "queued", "running"],
  ["waits until the worker has read that its tenant may have it", { maxSessions: 0 }, 6, "queued", "running"],
  ["ends if the worker has read that its tenant is closed", "closed", 7, "stopped", "stopped"],
  ["ends if a newer file than its own says that its tenant is closed", "closed", 8, "stopped", "stopped"],
  ["ends if the worker has read that its tenant may have none", { maxSessions: 0 }, 7, "stopped", "stopped"],
] as const)("a session %s", async (_, file, generation, unread, read) => {
  const { model, tenants, settle } = open();
  const { get } = tenants;
  Object.assign(tenants, {
    get: () => (typeof file === "string" ? undefined : tenant("acme", file)),
    isClosed: () => file === "closed",
    generation,
  });
  model.create(id, { tenantsGeneration: 7 });
  await settle();
  expect(model.rows.get(id)).toMatchObject({ state: unread, reason: expect.stringContaining("tenant") });
  Object.assign(tenants, { get, generation: Math.max(generation, 7) });
  await settle();
  expect(model.rows.get(id)?.state).toBe(read);
});

test("a tenant that the file no longer names ends no session and loses no workspace", async () => {
  const { model, reconciler, tenants, settle } = open({ retentionSeconds: 60 });
  const { get } = tenants;
  const [running, stopping] = ids as [string, string];
  for (const one of ids) model.create(one);
  await settle();
  tenants.get = () => undefined;
  model.wish(stopping, wishes.stop);
  await reconciler.displaced(running, "10.0.0.1", "its node is drained");
  await settle();
  expect([model.rows.get(running)?.state, model.rows.get(stopping)?.state]).toEqual(["running", "stopping"]);
  for (const one of ids) expect(model.cluster.get(one)).toMatchObject({ volumeClaim: true, pod: { state: "ready" } });
  tenants.get = get;
  await settle();
  expect(model.rows.get(stopping)).toMatchObject({ state: "stopped", workspaceUntil: expect.any(Date) });
});

test("a pod is made without reading it first if the session was just admitted, but not if it has waited too long", async () => {
  const { model, reconciler } = open();
  const read = vi.spyOn(model.objects, "observePod");
  model.create(id, { state: "starting" });
  await reconciler.reconcile(id, { isAdmitted: true });
  expect([read.mock.calls.length, model.cluster.get(id)?.pod?.state]).toEqual([0, "pending"]);
  stayInState(model, 301);
  await reconciler.reconcile(id, { isAdmitted: true });
  expect([read.mock.calls.length, model.rows.get(id)?.cause]).toEqual([1, "start-timeout"]);
});

test.each([
  ["suspending", "suspended"],
  ["stopping", "stopped"],
] as const)(
  "a session that is %s leaves a node that does not answer, but not before the node counts as dead",
  async (state, end) => {
    const { model, reconciler, settle } = open();
    model.create(id);
    await settle();
    model.wish(id, state === "stopping" ? wishes.stop : wishes.suspend);
    const pod = () => model.cluster.get(id)?.pod;
    const reconciles = async () => {
      for (let count = 0; count < 3; count += 1) await reconciler.reconcile(id);
    };
    // The node never confirms the pod's end, so the model makes no progress.
    await reconciles();
    for (const [overdue, seconds] of [
      [300, 301],
      [301, 300],
    ] as const) {
      model.podOverdueSeconds = overdue;
      stayInState(model, seconds);
      await reconciles();
      expect(pod()).toBeDefined();
    }
    model.podOverdueSeconds = 301;
    stayInState(model, 301);
    await reconciles();
    expect(pod()).toBeUndefined();
    await settle();
    expect(model.rows.get(id)?.state).toBe(end);
  },
);

test("a session that was ending ends, although its tenant and its namespace are gone", async () => {
  const { model, tenants, settle } = open();
  model.create(id);
  await settle();
  model.wish(id, wishes.stop);
  tenants.get = () => undefined;
  model.cluster.delete(id);
  await settle();
  expect(model.rows.get(id)?.state).toBe("stopped");
});

test("an agent's failure quotes its last line, and the log is stored before its pod is removed", async () => {
  const { model, settle } = open();
  model.create(id);
  await settle();
  model.harm(id, "broken");
  await settle();
  expect(model.rows.get(id)).toMatchObject({
    state: "failed",
    cause: "agent-error",
    reason: "The agent exited with code 1: No such file",
  });
  expect(model.kept.get(id)).toBe("2026-11-28T00:00:00Z No such file\n");
});

test("a secret in the last line never appears in the reason, however much text precedes it", async () => {
  const { model, settle } = open();
  const session = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
  const line = `No such key:${" ".repeat(1_000 - 12 - 37 - 42)}${session}.${"s".repeat(43)}`;
  model.logs.tail = async () => `2026-11-28T00:00:00Z ${line}\n`;
  model.create(id);
  await settle();
  model.harm(id, "broken");
  await settle();
  expect(model.rows.get(id)?.reason).toBe(`The agent exited with code 1: No such key: ${session}.[redacted]`);
});

test("the log is stored before a suspended session's pod is removed, and stays if the session ends without another", async () => {
  const { model, settle } = open();
  model.create(id);
  await settle();
  model.wish(id, wishes.suspend);
  await settle();
  expect(model.rows.get(id)?.state).toBe("suspended");
  expect(model.kept.get(id)).toBe("2026-11-28T00:00:00Z No such file\n");
  model.wish(id, wishes.stop);
  await settle();
  expect(model.rows.get(id)?.state).toBe("stopped");
  expect(model.kept.get(id)).toBe("2026-11-28T00:00:00Z No such file\n");
});

/**
 * A reconcile that pauses before call number `call`, like a worker that gets no CPU, until the test calls the returned
 * function.
 */
async function stuckReconcile(
  { model, reconciler }: ReturnType<typeof open>,
  id: string,
  call: number,
): Promise<() => Promise<unknown>> {
  let calls = 0;
  let letGo = () => {};
  const stuck = await new Promise<{ done: Promise<unknown> }>((isStuck) => {
    model.pause = () => {
      calls += 1;
      if (calls !== call) return Promise.resolve();
      isStuck({ done });
      return new Promise((resolve) => {
        letGo = resolve;
      });
    };
    const done: Promise<unknown> = Promise.resolve().then(() => reconciler.reconcile(id));
  });
  model.pause = async () => {};
  return () => {
    letGo();
    return stuck.done;
  };
}

/** Which call of a reconcile creates a starting session's pod, and which one removes a suspending session's pod. */
const [makesPod, removesPod] = [5, 3];

test("a worker that was stuck before it removed a pod does not remove the pod that was created meanwhile", async () => {
  const world = open();
  const { model, settle } = world;
  model.create(id);
  await settle();
  model.wish(id, wishes.suspend);
  const letGo = await stuckReconcile(world, id, removesPod);
  await settle();
  model.wish(id, wishes.resume);
  await settle();
  await letGo();
  await settle();
  expect(model.rows.get(id)?.state).toBe("running");
});

test.each([
  ["suspended", wishes.suspend, 0],
  ["stopped", wishes.stop, 0],
  ["stopped", wishes.stop, 60],
] as const)(
  "a pod that a stuck worker creates too late is removed again: %s, %o, retained %d s",
  async (state, wish, retentionSeconds) => {
    const world = open({ retentionSeconds });
    const { model, settle } = world;
    model.create(id, { state: "starting" });
    const letGo = await stuckReconcile(world, id, makesPod);
    await settle();
    model.wish(id, wish);
    await settle();
    await letGo();
    expect(model.cluster.get(id)?.pod).toBeDefined();
    await settle();
    expect(model.rows.get(id)?.state).toBe(state);
    expect(model.cluster.get(id)?.pod).toBeUndefined();
    expect(model.cluster.has(id)).toBe(state === "suspended" || retentionSeconds > 0);
  },
);
