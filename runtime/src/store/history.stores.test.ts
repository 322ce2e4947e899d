/** Which old records are deleted, and which records stay. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import { Metrics } from "../telemetry/metrics.ts";
import { cipher, freshDatabase, sessionOf, silent } from "../testing/fixtures.ts";
import { addOldRows } from "../testing/oldRows.ts";
import { HistoryExpiry } from "../worker/historyExpiry.ts";
import { History, historyBatch } from "./history.ts";
import { recordsOn } from "./records.ts";
import { usageBatch } from "./usage.ts";

const user = { name: "key:default" };
const worker = { name: "worker" };
const day = 86_400;

async function open() {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const history = new History(database);
  const metrics = new Metrics();
  const limits = {
    SESSION_RETENTION_SECONDS: 30 * day,
    EVENT_RETENTION_SECONDS: 20 * day,
    DELIVERY_RETENTION_SECONDS: 10 * day,
    IDEMPOTENCY_RETENTION_SECONDS: 5 * day,
  };
  const expiry = new HistoryExpiry({
    history,
    usage: store.usage,
    limits,
    isLeader: () => true,
    metrics,
    logger: silent,
  });
  const count = async (
    table: "sessions" | "session_events" | "webhook_deliveries" | "usage_days",
    where = sql`true`,
  ) => {
    const { rows } = await sql<{ count: string }>`select count(*) from ${sql.table(table)} where ${where}`.execute(
      database,
    );
    return Number(rows[0]?.count);
  };
  return {
    database,
    store,
    history,
    metrics,
    expiry,
    count,
    /** Removes everything that is due. */
    all: async () => {
      while (await expiry.expire());
    },
    /** Creates a session that ran for an hour and ended this many days ago. Returns its id. */
    async ended(days: number, { tenant = "acme", key = `key-${days}`, keepSeconds = 0 } = {}) {
      const request = {
        tenant,
        namespace: `tenant-${tenant}`,
        tier: "small",
        idempotency: { key, request: {} },
      } as const;
      let session = sessionOf(await store.creation.create(request, user));
      for (const event of [
        { type: "admitted" },
        { type: "ready", podIp: "10.0.0.1" },
        { type: "stop", cause: "user", reason: "Stopped" },
        { type: "gone", keepSeconds },
      ] as const) {
        const next = await store.commands.apply(session, event, worker);
        if (typeof next === "string") throw new Error(next);
        session = next;
        if (event.type === "ready") await store.commands.noteUse(session.id, tenant, "file", "reads a file", user);
      }
      const { id } = session;
      await sql`
        update sessions set created_at = began, started_at = began, ended_at = began + interval '1 hour',
          updated_at = began + interval '1 hour'
        from (select now() - ${days} * interval '1 day' as began) as past where id = ${id}`.execute(database);
      await sql`
        update session_events as event
        set at = session.created_at + case when event.state in ('stopping', 'stopped') then interval '1 hour' else interval '0' end
        from sessions as session where session.id = event.session_id and session.id = ${id}`.execute(database);
      return id;
    },
  };
}

test("sessions are deleted with their events when their retention is over, and younger ones stay", async () => {
  const { store, count, ended, all, metrics } = await open();
  const [old, young] = [await ended(31), await ended(29)];
  await all();
  expect(await store.queries.find(old)).toBeUndefined();
  expect(await count("session_events", sql`session_id = ${old}`)).toBe(0);
  expect(await store.queries.find(young)).toBeDefined();
  const removed = (await metrics.historyRemoved.get()).values;
  expect(Object.fromEntries(removed.map(({ labels, value }) => [labels.kind, value]))).toMatchObject({ session: 1 });
});

test("a session stays as long as its workspace is kept, or until its usage is counted", async () => {
  const { database, store, history, ended, all } = await open();
  const kept = await ended(31, { keepSeconds: 3600 });
  await all();
  expect(await store.queries.find(kept)).toBeDefined();
  await sql`update sessions set workspace_until = null, usage_counted = false`.execute(database);
  expect(await history.expireSessions(30 * day)).toBe(0);
  // A session also stays for an hour after its last change.
  await sql`update sessions set usage_counted = true, updated_at = now() - interval '59 minutes'`.execute(database);
  expect(await history.expireSessions(30 * day)).toBe(0);
  await sql`update sessions set updated_at = now() - interval '61 minutes'`.execute(database);
  await all();
  expect(await store.queries.find(kept)).toBeUndefined();
});

test("the usage of a session is the same before it is counted, after that, and when the session is deleted", async () => {
  const { store, ended, count, all } = await open();
  await ended(31);
  await ended(31, { key: "two" });
  await ended(2);
  const usage = () => store.usage.ofTenant("acme", "2000-01-01", "2100-01-01");
  const before = await usage();
  const total = (days: typeof before) => days.reduce((sum, { seconds }) => sum + seconds, 0);
  expect(total(before)).toBeCloseTo(3 * 3600, 0);
  expect(await store.usage.countEnded()).toBe(3);
  expect(await store.usage.countEnded()).toBe(0);
  const rounded = (days: typeof before) => days.map((one) => ({ ...one, seconds: Math.round(one.seconds) }));
  expect(rounded(await usage())).toEqual(rounded(before));
  await all();
  expect(await count("sessions")).toBe(1);
  expect(rounded(await usage())).toEqual(rounded(before));
});

test("two leaders at the same time count no session twice", async () => {
  const { database, store } = await open();
  await addOldRows(database, { ended: 2_000, days: 10 });
  const usage = () => store.usage.ofTenant("acme", "2000-01-01", "2100-01-01");
  const total = async () => Math.round((await usage()).reduce((sum, { seconds }) => sum + seconds, 0));
  const before = await total();
  const count = async () => {
    while ((await store.usage.countEnded()) > 0);
  };
  await Promise.all([count(), count()]);
  expect(await total()).toBe(before);
});

test("uses end by the retention of events, and changes stay as long as their session", async () => {
  const { store, ended, all } = await open();
  const [old, young] = [await ended(21), await ended(19)];
  await all();
  const types = async (sessionId: string) =>
    (await store.trail.ofTenant({ tenant: "acme", sessionId }, "0", 100)).map(({ type }) => type);
  expect(await types(old)).toEqual(["created", "admitted", "ready", "stop", "gone"]);
  expect(await types(young)).toContain("file");
});

test("an idempotency key makes a new session when its retention is over", async () => {
  const { store, ended, all } = await open();
  const [old, young] = [await ended(6), await ended(4)];
  await all();
  const again = async (key: string) =>
    sessionOf(
      await store.creation.create(
        { tenant: "acme", namespace: "tenant-acme", tier: "small", idempotency: { key, request: {} } },
        user,
      ),
    ).id;
  expect(await again("key-4")).toBe(young);
  expect(await again("key-6")).not.toBe(old);
  expect(await store.queries.find(old)).toBeDefined();
});

test("dead deliveries are deleted when their retention is over, and pending ones stay", async () => {
  const { database, ended, count, all } = await open();
  await ended(1);
  await sql`
    insert into webhook_deliveries (tenant, url, event_id, state, created_at)
    select 'acme', url, (select min(id) from session_events), state, now() - days * interval '1 day'
    from (values ('a', 'dead', 11), ('b', 'dead', 9), ('c', 'pending', 11)) as one (url, state, days)`.execute(
    database,
  );
  await all();
  const left = await database.selectFrom("webhook_deliveries").select("url").orderBy("url").execute();
  expect(left.map(({ url }) => url)).toEqual(["b", "c"]);
  expect(await count("sessions")).toBe(1);
});

test("a tenant with many old records does not delay the others, and one call changes few rows", async () => {
  const { database, history, store, count } = await open();
  await addOldRows(database, { ended: 1_000, tenants: 3 });
  const others = sql`tenant <> 'acme' and ended_at < now() - interval '30 days'`;
  expect(await count("sessions", others)).toBeGreaterThan(30);
  expect(await store.usage.countEnded()).toBe(usageBatch);
  expect(await count("sessions", sql`usage_counted and tenant <> 'acme'`)).toBe(100);
  const before = await count("sessions");
  expect(await history.expireSessions(0)).toBe(historyBatch.sessions);
  expect(await count("sessions")).toBe(before - historyBatch.sessions);
  const { rows } = await sql<{ tenant: string; gone: number }>`
    select tenant, 1000 - count(*)::int as gone from sessions where ended_at is not null and tenant = 'acme'
    group by tenant`.execute(database);
  expect(rows[0]?.gone).toBeLessThanOrEqual(14);
  const events = await count("session_events");
  expect(await history.expireEvents(0)).toBe(historyBatch.events);
  expect(await count("session_events")).toBe(events - historyBatch.events);
});

test("a session with very many events is deleted in several calls", async () => {
  const { database, history, store, ended, count } = await open();
  const id = await ended(31);
  await sql`
    insert into session_events (session_id, tenant, type, state, version, actor)
    select ${id}, 'acme', 'file', 'running', 1, 'x' from generate_series(1, 500)`.execute(database);
  await store.usage.countEnded();
  const before = await count("session_events");
  expect(await history.expireSessions(day)).toBe(1);
  expect([await count("session_events"), await count("sessions")]).toEqual([before - 200, 1]);
  while ((await history.expireSessions(day)) > 0);
  expect([await count("session_events"), await count("sessions")]).toEqual([0, 0]);
});

test("while a batch is deleted, writers do not wait", async () => {
  const { database, store, history } = await open();
  await addOldRows(database, { ended: 500 });
  while ((await store.usage.countEnded()) > 0);
  const request = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
  const session = sessionOf(await store.creation.create(request, user));
  await database.transaction().execute(async (transaction) => {
    expect(await new History(transaction).expireSessions(day)).toBe(historyBatch.sessions);
    // The batch is not committed yet. The following calls end only because they need none of the locks that the batch holds.
    await store.commands.noteUse(session.id, "acme", "log", "reads the log", user, ["queued"]);
    expect(await store.commands.stop(session.id, "acme", "Stopped", user)).toMatchObject({ state: "stopping" });
    await store.creation.create(request, user);
  });
  expect(await history.expireSessions(day)).toBe(historyBatch.sessions);
});

test("a kind of record that can't be removed does not stop the others", async () => {
  const { store, ended, metrics, history } = await open();
  const old = await ended(31);
  const expiry = new HistoryExpiry({
    history: {
      expireSessions: (seconds) => history.expireSessions(seconds),
      expireEvents: async () => Promise.reject(new Error("no")),
      expireDeliveries: async () => Promise.reject(new Error("no")),
      forgetKeys: async () => Promise.reject(new Error("no")),
    },
    usage: store.usage,
    limits: {
      SESSION_RETENTION_SECONDS: day,
      EVENT_RETENTION_SECONDS: day,
      DELIVERY_RETENTION_SECONDS: day,
      IDEMPOTENCY_RETENTION_SECONDS: day,
    },
    isLeader: () => true,
    metrics,
    logger: silent,
  });
  expect(await expiry.expire()).toBe(false);
  expect(await store.queries.find(old)).toBeUndefined();
});
