/** The queue with a real Postgres; admissionPlan.test.ts tests the order. */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import type { NewSession } from "../store/newSession.ts";
import { recordsOn } from "../store/records.ts";
import { cipher, freshDatabase, sessionOf, silent, tenant } from "../testing/fixtures.ts";
import { Admission } from "./admission.ts";

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

async function open(acme?: Parameters<typeof tenant>[1], { generation = 0, maxStarting = 10 } = {}) {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const looks: string[] = [];
  const known = acme && tenant("acme", acme);
  /** The tenants file as this worker has read it. */
  const tenants = { get: () => known, generation };
  const admission = new Admission({
    database,
    commands: store.commands,
    tenants,
    maxStarting,
    onChange: (id) => looks.push(id),
    logger: silent,
  });
  onTestFinished(() => admission.onModuleDestroy());
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
  return { database, tenants, admission, store, id, looks, apply, create, stateOf };
}

test.each([
  ["of a tenant that is gone", undefined],
  ["of a tenant that may have none", { maxSessions: 0 }],
])("a session that waits is looked at for its end: %s", async (_, acme) => {
  const { admission, id, looks } = await open(acme);
  await admission.run();
  expect(looks).toEqual([id]);
});

test("a session whose image is not in the tenant's config fails, unless it has a workspace or the config may be newer", async () => {
  const { admission, create, store, database, stateOf } = await open({});
  const [fresh, resumed] = [await create({ image: "browser" }), await create({ image: "browser" })];
  await database.updateTable("sessions").set({ started_at: new Date() }).where("id", "=", resumed).execute();
  const unread = await create({ image: "browser" });
  await database.updateTable("sessions").set({ tenants_generation: 1 }).where("id", "=", unread).execute();
  await admission.run();
  const reason = "Waiting for the image browser, which the config of acme does not have any more";
  expect(await store.queries.find(fresh)).toMatchObject({ cause: "rejected", reason, endsAs: "failed" });
  for (const id of [resumed, unread]) expect(await store.queries.find(id)).toMatchObject({ state: "queued", reason });
  expect(await stateOf(fresh)).toBe("stopping");
});

test("sessions without a desktop count without its proxy", async () => {
  // Two small sessions fit without the proxy, and only one fits with it.
  const quota = { ...roomy, limitsCpu: "2.4" };
  const { admission, id, apply, create, stateOf } = await open({ images: [browser], quota });
  await admission.run();
  const without = { image: "browser", desktop: false };
  const [first, second] = [await create(without), await create(without)];
  await admission.run();
  expect(await Promise.all([id, first, second].map(stateOf))).toEqual(["starting", "queued", "queued"]);
  await apply({ type: "stop", cause: "user", reason: "Enough" }, { type: "gone", keepSeconds: 0 });
  await admission.run();
  expect(await Promise.all([id, first, second].map(stateOf))).toEqual(["stopped", "starting", "starting"]);
});

test("a session that is larger than its tenant's quota fails", async () => {
  const { admission, store, id, looks } = await open({ quota: tooSmall });
  await admission.run();
  expect(await store.queries.find(id)).toMatchObject({ state: "stopping", endsAs: "failed", cause: "rejected" });
  expect(looks).toEqual([id]);
});

test("the session waits while a larger quota may still be read, and fails when a worker has the file that admitted it", async () => {
  const { admission, database, tenants, store } = await open({ quota: tooSmall }, { generation: 6 });
  const api = recordsOn(database, cipher, { generation: 7 });
  const { id } = sessionOf(await api.creation.create(small, user));
  await admission.run();
  const reason = expect.stringContaining("more than the tenant's whole quota");
  expect(await store.queries.find(id)).toMatchObject({ state: "queued", reason });
  tenants.generation = 7;
  await admission.run();
  expect(await store.queries.find(id)).toMatchObject({ state: "stopping", endsAs: "failed", cause: "rejected" });
});

test("the session waits if it has a workspace from before", async () => {
  const { admission, store, id, apply } = await open({ quota: tooSmall });
  const ran = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, { type: "suspend", reason: "" }] as const;
  await apply(...ran, { type: "vacated" }, { type: "resume", reason: "" });
  await admission.run();
  expect(await store.queries.find(id)).toMatchObject({ state: "queued" });
});

test("a start without progress for 30 s frees its start slot", async () => {
  const { database, admission, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await admission.run();
  const next = await create();
  await admission.run();
  expect([await stateOf(id), await stateOf(next)]).toEqual(["starting", "queued"]);
  await sql`update sessions set updated_at = now() - interval '31 seconds' where id = ${id}`.execute(database);
  await admission.run();
  expect(await stateOf(next)).toBe("starting");
});

test("extending a session does not count as progress of its start", async () => {
  const { database, admission, store, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await admission.run();
  const next = await create();
  await sql`update sessions set updated_at = now() - interval '31 seconds', max_lifetime_seconds = 600
    where id = ${id}`.execute(database);
  expect((await store.commands.extend(id, "acme", 60, null, { name: "test" }))?.refusal).toBeNull();
  await admission.run();
  expect(await stateOf(next)).toBe("starting");
});

test("a start slot that becomes free because a start makes no progress is reused at that time", async () => {
  const { database, admission, id, create, stateOf } = await open({}, { maxStarting: 1 });
  await admission.run();
  const next = await create();
  await sql`update sessions set updated_at = now() - interval '28 seconds' where id = ${id}`.execute(database);
  await admission.run();
  await until(
    "the next session starts",
    20,
    () => stateOf(next),
    (state) => state === "starting",
  );
});

test("a session that the cluster refused is planned again when the wait is over", async () => {
  const { database, admission, id, apply, stateOf } = await open({});
  await admission.run();
  await apply({ type: "deferred", reason: "Waiting for room in the tenant's quota" });
  await sql`update sessions set retry_at = now() + interval '2 seconds' where id = ${id}`.execute(database);
  await admission.run();
  await until(
    "it starts again",
    20,
    () => stateOf(id),
    (state) => state === "starting",
  );
});

test("a resumed session's existing volume is counted while the session waits", async () => {
  const quota = { ...tooSmall, requestsCpu: "9", limitsCpu: "9", requestsMemory: "99Gi", limitsMemory: "99Gi" };
  const { admission, store, id, apply, create, stateOf } = await open({ quota: { ...quota, pods: 9, storage: "2Gi" } });
  const ran = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, { type: "suspend", reason: "" }] as const;
  await apply(...ran, { type: "vacated" }, { type: "resume", reason: "" });
  const [first, second] = [await create({ priority: 80 }), await create({ priority: 70 })];
  await admission.run();
  expect([await stateOf(first), await stateOf(second), await stateOf(id)]).toEqual(["starting", "queued", "queued"]);
  expect((await store.queries.find(second))?.reason).toBe("Waiting for room in the tenant's quota (requests.storage)");
});
