/** The order in which readers see the audit trail, while others write to it. */
import { until } from "@berth/testing/until.ts";
import { type RawBuilder, sql } from "kysely";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { EventFeed } from "../api/eventFeed.ts";
import { Bell } from "../queue/bell.ts";
import { cipher, emptyRedis, freshDatabase, ownStores, sessionOf, silent } from "../testing/fixtures.ts";
import { AuditTrail } from "./auditTrail.ts";
import { type Database, isDatabaseUnavailable } from "./database.ts";
import { recordsOn } from "./records.ts";

const user = { name: "key:default" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small", maxLifetimeSeconds: 60 } as const;

async function open() {
  const { name, database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const session = sessionOf(await store.creation.create(small, user));
  // On a busy machine a statement of the test may take longer than any statement of Berth.
  const trail = new AuditTrail(database, 3_600);
  return { name, database, store, trail, session };
}

/** Appends an event with one statement that takes the event's id, then computes `wait`, and then `ending`. */
const append = (database: Database, sessionId: string, wait: RawBuilder<unknown>, ending = "null") =>
  sql`
    with logged as (
      insert into session_events (session_id, tenant, type, state, version, actor)
      values (${sessionId}, 'acme', 'file', 'running', 1, 'slow') returning id
    )
    select ${wait}, ${sql.raw(ending)} from logged`.execute(database);

/** Appends an event with one statement that takes the event's id and then runs for this many seconds more. */
const slowly = (database: Database, sessionId: string, seconds: number, ending?: string) =>
  append(database, sessionId, sql`pg_sleep(${seconds})`, ending);

/** Reads the trail until `isOver`, like a consumer that remembers only the last id. Returns the ids that it has read. */
async function consume(trail: AuditTrail, isOver: () => boolean): Promise<string[]> {
  const horizon = trail.horizon();
  const read: string[] = [];
  for (let position = "0"; ; ) {
    const last = isOver();
    const { newest, settled } = await horizon.advance();
    const events = await trail.ofAll(position, 50, String(settled));
    read.push(...events.map(({ id }) => id));
    position = events.at(-1)?.id ?? position;
    if (last && settled === newest && events.length < 50) return read;
  }
}

test("readers see each event once and in order, while many write, and some are slow or fail", async () => {
  const { database, store, session } = await open();
  let writing = true;
  const readers = Promise.all([0, 1].map(() => consume(store.trail, () => !writing)));
  const write = async (writer: number) => {
    for (let count = 0; count < 12; count += 1) {
      const kind = (writer * 7 + count * 3) % 5;
      if (kind === 0) await slowly(database, session.id, 0.03);
      // The division fails after the statement has taken its id.
      else if (kind === 1)
        await expect(slowly(database, session.id, 0.01, "1 / (id - id)")).rejects.toThrow("division");
      else if (kind === 2) await store.creation.create(small, user);
      else await store.commands.extend(session.id, "acme", 1, null, user);
    }
  };
  await Promise.all([0, 1, 2, 3, 4, 5].map(write));
  writing = false;
  const { rows } = await sql<{ id: string }>`select id from session_events order by id`.execute(database);
  const all = rows.map(({ id }) => id);
  // The failed statements have left gaps.
  expect(Number(all.at(-1))).toBeGreaterThan(all.length);
  for (const read of await readers) expect(read).toEqual(all);
});

test("a slow statement keeps no writer waiting, and readers only until it ends", async () => {
  const { database, store, trail, session } = await open();
  let isOver = false;
  await database.connection().execute(async (holder) => {
    // The slow statement waits for this lock, so it ends when the test unlocks.
    await sql`select pg_advisory_lock(1)`.execute(holder);
    const slow = append(database, session.id, sql`pg_advisory_xact_lock(1)`).then(() => {
      isOver = true;
    });
    const waiting = () =>
      sql`select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`;
    await until(
      "the slow statement has its id",
      30,
      () => waiting().execute(database),
      ({ rows }) => rows.length > 0,
    );
    const horizon = trail.horizon();
    const stopped = store.commands.stop(session.id, "acme", "Stopped", user);
    await until("another writer does not wait for the slow one", 30, () => stopped);
    const { newest, settled } = await horizon.advance();
    expect([isOver, settled < newest]).toEqual([false, true]);
    const upTo = trail.newestId();
    await sql`select pg_advisory_unlock(1)`.execute(holder);
    const events = await trail.ofAll("0", 10, await upTo);
    expect(events.map(({ type }) => type)).toEqual(["created", "file", "stop"]);
    await slow;
  });
});

test("a process that stops in the middle of a call keeps neither writers nor readers waiting", async () => {
  const { name, store, session } = await open();
  const { postgres } = ownStores();
  const client = new pg.Client({ ...postgres, database: name });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  const { stream } = (client as unknown as { connection: { stream: { pause: () => void; destroy: () => void } } })
    .connection;
  const statement = `with changed as (update sessions set version = version + 1 where id = $1 returning id)
    insert into session_events (session_id, tenant, type, state, version, actor)
    select id, 'acme', 'extend', 'queued', 2, 'stopped' from changed returning id`;
  client.query(statement, [session.id]).catch(() => {});
  stream.pause(); // from now on the process reads nothing
  await until(
    "its event is there",
    30,
    async () => store.trail.ofAll("0", 10, await store.trail.newestId()),
    ({ length }) => length === 2,
  );
  expect(await store.commands.stop(session.id, "acme", "Stopped", user)).toMatchObject({ state: "stopping" });
  const events = await store.trail.ofAll("0", 10, await store.trail.newestId());
  expect(events.map(({ actor }) => actor)).toEqual(["key:default", "stopped", "key:default"]);
  stream.destroy();
});

test("a statement that never ends is ended after its time limit, and readers continue", async () => {
  const { database, store, trail, session } = await open();
  const ended = slowly(database, session.id, 200).catch((error: unknown) => error);
  await until(
    "a reader waits for it",
    30,
    async () => {
      await store.commands.noteUse(session.id, "acme", "log", "reads the log", user, ["queued"]);
      return trail.horizon().advance();
    },
    ({ newest, settled }) => settled < newest,
  );
  const upTo = trail.newestId();
  // Postgres ends a statement after its time limit with the same error. database.stores.test.ts tests the limit itself.
  await sql`
    select pg_cancel_backend(pid) from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'`.execute(database);
  expect(await ended).toSatisfy(isDatabaseUnavailable);
  const types = new Set((await trail.ofAll("0", 100, await upTo)).map(({ type }) => type));
  expect(types).toEqual(new Set(["created", "log"]));
});

test("a reader is woken by the process that writes, and finds events without being woken", async () => {
  const { database, store } = await open();
  const redis = await emptyRedis();
  const bell = new Bell(redis, "events");
  const woken = recordsOn(database, cipher, { generation: 0 }, () => bell.ring());
  const reads = async (feed: EventFeed) => {
    const end = new AbortController();
    onTestFinished(() => end.abort());
    const found: string[] = [];
    await feed.listen(({ sessionId }) => found.push(sessionId), end.signal);
    return found;
  };
  const far = new EventFeed({ trail: store.trail, bell, logger: silent, quietMs: 600_000 });
  const deaf = new EventFeed({ trail: store.trail, bell: { listen: () => () => {} }, logger: silent, quietMs: 100 });
  const [byBell, byTime] = [await reads(far), await reads(deaf)];
  await until(
    "the reader has subscribed",
    30,
    () => redis.call("PUBSUB", "NUMSUB", "berth:events"),
    (found) => (found as [string, number])[1] === 1,
  );
  const { id } = sessionOf(await woken.creation.create(small, user));
  await until("both have the event", 30, () => byBell.includes(id) && byTime.includes(id));
  expect([byBell, byTime]).toEqual([[id], [id]]);
});
