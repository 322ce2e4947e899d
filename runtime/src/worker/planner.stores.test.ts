/** The planner with real stores; admissionPlan.test.ts tests the order of the starts. */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import { Bell } from "../queue/bell.ts";
import { basisOf } from "../store/admissionQueue.ts";
import type { Database } from "../store/database.ts";
import type { NewSession } from "../store/newSession.ts";
import { recordsOn } from "../store/records.ts";
import { cipher, emptyRedis, freshDatabase, sessionOf, silent, tenant } from "../testing/fixtures.ts";
import { Planner, type PlannerOptions } from "./planner.ts";
import { StartLimit } from "./startLimit.ts";

const user = { name: "key:default" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
const tooSmall = {
  requestsCpu: "1m",
  limitsCpu: "1",
  requestsMemory: "1Gi",
  limitsMemory: "1Gi",
  pods: 1,
  storage: "9Gi",
};

const browser = { name: "browser", image: "browser@sha256:1" };
const roomy = {
  requestsCpu: "9",
  limitsCpu: "9",
  requestsMemory: "99Gi",
  limitsMemory: "99Gi",
  pods: 9,
  storage: "99Gi",
};

/** Room for 50 sessions. */
const wide = {
  maxSessions: 50,
  quota: {
    requestsCpu: "50",
    limitsCpu: "200",
    requestsMemory: "200Gi",
    limitsMemory: "200Gi",
    pods: 50,
    storage: "50Gi",
  },
};

/** By default, the planner belongs to the leader, nobody wakes it, and it plans only when `plan` is called. */
async function open(
  acme?: Parameters<typeof tenant>[1],
  { generation = 0, maxStarting = 10, perNode = 3, nodes = 0 } = {},
) {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const reconciles: string[] = [];
  const known = acme && tenant("acme", acme);
  const otherTenants = new Map<string, ReturnType<typeof tenant>>();
  /** The tenants file as this worker has read it. */
  const tenants = { get: (name: string) => otherTenants.get(name) ?? known, generation };
  const plannerWith = (changes: Partial<PlannerOptions> = {}) => {
    const made = new Planner({
      database,
      commands: store.queueCommands,
      tenants,
      isLeader: () => true,
      bell: { ring: () => {}, listen: () => () => {} },
      startLimit: new StartLimit({ configured: maxStarting, perNode, nodes: () => nodes, overloaded: async () => 0 }),
      onChange: (id) => reconciles.push(id),
      logger: silent,
      intervalMs: 600_000,
      ...changes,
    });
    onTestFinished(() => made.onApplicationShutdown());
    return made;
  };
  const planner = plannerWith();
  const create = async (changes: Partial<NewSession> = {}) =>
    sessionOf(await store.creation.create({ ...small, ...changes }, user)).id;
  const id = await create();
  const apply = async (...events: SessionEvent[]) => {
    for (const event of events) {
      const seen = await store.queries.find(id);
      if (seen !== undefined) await store.commands.apply(seen, event, user);
    }
  };
  const stateOf = async (id: string) => (await store.queries.find(id))?.state;
  return { database, tenants, otherTenants, planner, plannerWith, store, id, reconciles, apply, create, stateOf };
}

test.each([
  ["of a tenant that is gone", undefined],
  ["of a tenant that may have none", { maxSessions: 0 }],
])("a session that waits is reconciled for its end: %s", async (_, acme) => {
  const { planner, id, reconciles } = await open(acme);
  await planner.plan();
  expect(reconciles).toEqual([id]);
});

test("a session whose image is not in the tenant's config fails, unless it has a workspace or the config may be newer", async () => {
  const { planner, create, store, database, stateOf } = await open({});
  const [fresh, resumed] = [await create({ image: "browser" }), await create({ image: "browser" })];
  await database.updateTable("sessions").set({ started_at: new Date() }).where("id", "=", resumed).execute();
  const unread = await create({ image: "browser" });
  await database.updateTable("sessions").set({ tenants_generation: 1 }).where("id", "=", unread).execute();
  await planner.plan();
  const reason = "Waiting for the image browser, which the config of acme does not have any more";
  expect(await store.queries.find(fresh)).toMatchObject({ cause: "rejected", reason, endsAs: "failed" });
  for (const id of [resumed, unread]) expect(await store.queries.find(id)).toMatchObject({ state: "queued", reason });
  expect(await stateOf(fresh)).toBe("stopping");
});

test("sessions without a desktop count without its proxy", async () => {
  // Two small sessions fit without the proxy, and only one fits with it.
  const quota = { ...roomy, limitsCpu: "2.4" };
  const { planner, id, apply, create, stateOf } = await open({ images: [browser], quota });
  await planner.plan();
  const without = { image: "browser", desktop: false };
  const [first, second] = [await create(without), await create(without)];
  await planner.plan();
  expect(await Promise.all([id, first, second].map(stateOf))).toEqual(["starting", "queued", "queued"]);
  await apply({ type: "stop", cause: "user", reason: "Enough" }, { type: "gone", keepSeconds: 0 });
  await planner.plan();
  expect(await Promise.all([id, first, second].map(stateOf))).toEqual(["stopped", "starting", "starting"]);
});

test("a session that is larger than its tenant's quota fails", async () => {
  const { planner, store, id, reconciles } = await open({ quota: tooSmall });
  await planner.plan();
  expect(await store.queries.find(id)).toMatchObject({ state: "stopping", endsAs: "failed", cause: "rejected" });
  expect(reconciles).toEqual([id]);
});

test("the session waits while a larger quota may still be read, and fails when a worker has the file that admitted it", async () => {
  const { planner, database, tenants, store } = await open({ quota: tooSmall }, { generation: 6 });
  const api = recordsOn(database, cipher, { generation: 7 });
  const { id } = sessionOf(await api.creation.create(small, user));
  await planner.plan();
  const reason = expect.stringContaining("more than the tenant's whole quota");
  expect(await store.queries.find(id)).toMatchObject({ state: "queued", reason });
  tenants.generation = 7;
  await planner.plan();
  expect(await store.queries.find(id)).toMatchObject({ state: "stopping", endsAs: "failed", cause: "rejected" });
});

test("the session waits if it has a workspace from before", async () => {
  const { planner, store, id, apply } = await open({ quota: tooSmall });
  const ran = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, { type: "suspend", reason: "" }] as const;
  await apply(...ran, { type: "vacated" }, { type: "resume", reason: "" });
  await planner.plan();
  expect(await store.queries.find(id)).toMatchObject({ state: "queued" });
});

test("a start without progress for 30 s frees its start slot", async () => {
  const { database, planner, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await planner.plan();
  const next = await create();
  await planner.plan();
  expect([await stateOf(id), await stateOf(next)]).toEqual(["starting", "queued"]);
  await sql`update sessions set updated_at = now() - interval '31 seconds' where id = ${id}`.execute(database);
  await planner.plan();
  expect(await stateOf(next)).toBe("starting");
});

test("extending a session does not count as progress of its start", async () => {
  const { database, planner, store, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await planner.plan();
  const next = await create();
  await sql`update sessions set updated_at = now() - interval '31 seconds', max_lifetime_seconds = 600
    where id = ${id}`.execute(database);
  expect((await store.commands.extend(id, "acme", 60, null, { name: "test" }))?.refusal).toBeNull();
  await planner.plan();
  expect(await stateOf(next)).toBe("starting");
});

test("a start slot that becomes free because a start makes no progress is reused at that time", async () => {
  const { database, planner, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await planner.plan();
  const next = await create();
  await sql`update sessions set updated_at = now() - interval '28 seconds' where id = ${id}`.execute(database);
  planner.onApplicationBootstrap();
  await until(
    "the next session starts",
    20,
    () => stateOf(next),
    (state) => state === "starting",
  );
});

test("a session that the cluster refused is planned again when the wait is over", async () => {
  const { database, planner, id, apply, stateOf } = await open({});
  await planner.plan();
  await apply({ type: "deferred", reason: "Waiting for room in the tenant's quota" });
  await sql`update sessions set retry_at = now() + interval '2 seconds' where id = ${id}`.execute(database);
  planner.onApplicationBootstrap();
  await until(
    "it starts again",
    20,
    () => stateOf(id),
    (state) => state === "starting",
  );
});

test("a resumed session's existing volume is counted while the session waits", async () => {
  const quota = { ...tooSmall, requestsCpu: "9", limitsCpu: "9", requestsMemory: "99Gi", limitsMemory: "99Gi" };
  const { planner, store, id, apply, create, stateOf } = await open({ quota: { ...quota, pods: 9, storage: "2Gi" } });
  const ran = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, { type: "suspend", reason: "" }] as const;
  await apply(...ran, { type: "vacated" }, { type: "resume", reason: "" });
  const [first, second] = [await create({ priority: 80 }), await create({ priority: 70 })];
  await planner.plan();
  expect([await stateOf(first), await stateOf(second), await stateOf(id)]).toEqual(["starting", "queued", "queued"]);
  expect((await store.queries.find(second))?.reason).toBe("Waiting for room in the tenant's quota (requests.storage)");
});

test("one statement starts all sessions that may start, another says what the others wait for, and a further planning writes nothing", async () => {
  const { database, planner, create, reconciles } = await open({}, { maxStarting: 3 });
  for (let made = 0; made < 5; made += 1) await create();
  await planner.plan();
  // Postgres stores in each row which transaction has written it; each statement is a transaction of its own.
  const written = async () => {
    const { rows } = await sql<{ transaction: string }>`
      select state, reason, count(*)::int, xmin as transaction from sessions
      group by state, reason, xmin order by state`.execute(database);
    return rows;
  };
  const rows = await written();
  expect(rows).toMatchObject([
    { state: "queued", reason: "Waiting for its turn to start", count: 3 },
    { state: "starting", reason: null, count: 3 },
  ]);
  expect(reconciles).toHaveLength(3);
  await planner.plan();
  expect(await written()).toEqual(rows);
  const { rows: events } = await sql`
    select type, count(*)::int from session_events group by type order by type`.execute(database);
  expect(events).toEqual([
    { type: "admitted", count: 3 },
    { type: "created", count: 6 },
  ]);
});

test("of plannings that have read the same state, only one starts sessions", async () => {
  const { database, store, id, create, stateOf } = await open({});
  const other = await create();
  const { admissions } = await basisOf(database);
  const admit = (id: string, seen: string) => store.queueCommands.admit([{ id, version: 1, turn: 0 }], seen);
  const both = await Promise.all([admit(id, admissions), admit(other, admissions)]);
  expect(both.flat()).toHaveLength(1);
  const [late] = both.flat()[0] === id ? [other] : [id];
  expect(await admit(late as string, admissions)).toEqual([]);
  expect(await stateOf(late as string)).toBe("queued");
  expect(await admit(late as string, (await basisOf(database)).admissions)).toEqual([late]);
});

test("a session that changed after the planner read it keeps its state", async () => {
  const { database, store, id, apply, stateOf } = await open({});
  await apply({ type: "stop", cause: "user", reason: "Enough" });
  const { admissions } = await basisOf(database);
  expect(await store.queueCommands.admit([{ id, version: 1, turn: 0 }], admissions)).toEqual([]);
  expect(await stateOf(id)).toBe("stopping");
});

const starts = (stateOf: (id: string) => Promise<string | undefined>, id: string) =>
  until(
    "the session starts",
    20,
    () => stateOf(id),
    (state) => state === "starting",
  );

test("only the leader plans, and any process wakes it", async () => {
  const { plannerWith, create, stateOf } = await open({});
  const redis = await emptyRedis();
  const bell = new Bell(redis, "planning");
  const by: string[] = [];
  const leader = plannerWith({ bell, onChange: () => by.push("leader") });
  const other = plannerWith({ bell, isLeader: () => false, onChange: () => by.push("other") });
  for (const one of [leader, other]) one.onApplicationBootstrap();
  await until(
    "both have subscribed",
    30,
    () => redis.call("PUBSUB", "NUMSUB", "berth:planning"),
    (found) => (found as [string, number])[1] === 2,
  );
  for (const waker of [leader, other]) {
    const id = await create();
    waker.wake();
    await starts(stateOf, id);
  }
  expect(new Set(by)).toEqual(new Set(["leader"]));
});

test("a session starts although nobody wakes the leader", async () => {
  const { plannerWith, id, create, stateOf } = await open({});
  plannerWith({ intervalMs: 100 }).onApplicationBootstrap();
  await starts(stateOf, id);
  await starts(stateOf, await create());
});

test("the position in the queue is the order in which the tenant's sessions start", async () => {
  const { planner, id, create, store, stateOf } = await open({}, { maxStarting: 1 });
  const urgent = await create({ priority: 90 });
  const last = await create({ priority: 10 });
  const second = await create({ priority: 90 });
  await create({ warm: "template", priority: 100 });
  await create({ tenant: "beta", priority: 50 });
  const all = [id, urgent, last, second];
  const positions = await store.queries.queuePositions("acme", all);
  expect(all.map((one) => positions.get(one))).toEqual([3, 1, 4, 2]);
  await planner.plan();
  expect(await stateOf(urgent)).toBe("starting");
  expect(await store.queries.queuePositions("acme", [urgent, last])).toEqual(new Map([[last, 3]]));
});

/** Makes the sessions look as if they had been in their state, without progress, for `seconds`, and moves their creation back. */
const hang = (database: Database, ids: string[], seconds: number) =>
  sql`update sessions set created_at = created_at - ${seconds} * interval '1 second',
    state_since = now() - ${seconds} * interval '1 second', updated_at = now() - ${seconds} * interval '1 second'
    where id = any(${ids}::uuid[])`.execute(database);

const many = async (count: number, create: () => Promise<string>) => {
  const made: string[] = [];
  for (let index = 0; index < count; index += 1) made.push(await create());
  return made;
};

test("a tenant whose starts hang gets one start at a time, and leaves its start slots to a tenant whose starts are quick", async () => {
  const { database, planner, store, create, stateOf, otherTenants } = await open({ ...wide }, { maxStarting: 4 });
  otherTenants.set("beta", tenant("beta", wide));
  const ofBeta = () => create({ tenant: "beta", namespace: "tenant-beta" });
  const startingOf = async (ids: string[]) =>
    (await Promise.all(ids.map(stateOf))).filter((state) => state === "starting").length;

  const hanging = await many(12, create);
  await planner.plan();
  const rows = await database.selectFrom("sessions").select("id").where("state", "=", "starting").execute();
  const first = rows.map(({ id }) => id);
  expect(first).toHaveLength(4);
  // After 10 s, beta gets its whole share, although acme's starts still hold all slots.
  await hang(database, first, 11);
  const quick = await many(9, ofBeta);
  const others = [...quick, ...hanging.filter((id) => !first.includes(id))];
  await planner.plan();
  expect([await startingOf(hanging), await startingOf(quick)]).toEqual([3, 2]);

  // After 30 s, acme's starts are late: acme gets one more start, and beta the other slots.
  await hang(database, first, 31);
  await hang(database, others, 0);
  await planner.plan();
  expect([await startingOf(hanging), await startingOf(quick)]).toEqual([4, 3]);
  const held = await database.selectFrom("sessions").selectAll().where("state", "=", "queued").execute();
  const slowed = "Waiting for earlier sessions of the tenant, whose starts take long";
  expect(held.filter(({ tenant }) => tenant === "acme").every(({ reason }) => reason === slowed)).toBe(true);

  // Beta's sessions become ready one after another, while acme stays at one start.
  for (let round = 0; round < 3; round += 1) {
    for (const id of quick) {
      const seen = await store.queries.find(id);
      if (seen?.state === "starting") await store.commands.apply(seen, { type: "ready", podIp: "10.0.0.1" }, user);
    }
    await hang(database, others, 0);
    await planner.plan();
  }
  expect(await Promise.all(quick.map(stateOf))).toEqual(quick.map(() => "running"));
  expect(await startingOf(hanging)).toBe(4);
});

test("starts that succeed raise the number of start slots, up to the number for each node; a claim is no start", async () => {
  const { database, planner, store, create } = await open({ ...wide }, { maxStarting: 2, perNode: 3, nodes: 3 });
  await many(40, create);
  const counts: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    await sql`update sessions set state_since = now() where state = 'running'`.execute(database);
    await planner.plan();
    const { rows } = await sql<{ id: string }>`select id from sessions where state = 'starting'`.execute(database);
    counts.push(rows.length);
    for (const { id } of rows) {
      const seen = await store.queries.find(id);
      if (seen !== undefined) await store.commands.apply(seen, { type: "ready", podIp: "10.0.0.1" }, user);
    }
  }
  expect(counts).toEqual([2, 4, 8, 9]);
  // The starts were long ago, or were claims of warm sessions.
  await sql`update sessions set state_since = now() - interval '11 seconds' where state = 'running' and turn % 2 = 0`.execute(
    database,
  );
  await sql`update sessions set state_since = now(), created_at = now()
    where state = 'running' and state_since > now() - interval '10 seconds'`.execute(database);
  await planner.plan();
  const { rows } = await sql`select from sessions where state = 'starting'`.execute(database);
  expect(rows).toHaveLength(2);
});
