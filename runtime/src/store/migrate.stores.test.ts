import type { Socket } from "node:net";
import { until } from "@berth/testing/until.ts";
import { Kysely, PostgresDialect, sql } from "kysely";
import { Migrator } from "kysely/migration";
import pg from "pg";
import { expect, test } from "vitest";
import { emptyDatabase, ownStores } from "../testing/fixtures.ts";
import type { Database } from "./database.ts";
import { isMigrated, isTableInUse, migrate, migrations } from "./migrate.ts";
import type { Schema } from "./schema.ts";

test("migrations run once, however often and by however many processes they are started", async () => {
  const { database } = await emptyDatabase();
  expect(await isMigrated(database)).toBe(false);
  const [first, second] = await Promise.all([migrate(database), migrate(database)]);
  expect([...first, ...second]).toEqual([
    "0001_sessions",
    "0002_lifecycle",
    "0004_webhooks",
    "0005_turns",
    "0006_commands",
    "0007_warm",
    "0008_tasks_of_ended",
    "0009_rooms",
    "0011_session_logs",
    "0012_generations",
    "0013_deliveries_by_url",
    "0014_session_images",
    "0015_uses",
    "0016_grants",
    "0017_token_keys",
    "0018_port_uses",
    "0019_port_grants",
    "0020_settled_position",
    "0021_tenants_of_events",
    "0022_history",
    "0023_planning",
    "0024_claimed_tasks",
    "0025_deliveries_by_receiver",
    "0026_progress",
    "0027_warm_indexes",
  ]);
  expect(await migrate(database)).toEqual([]);
  expect(await isMigrated(database)).toBe(true);
});

test("an older version leaves the tables of a newer one unchanged", async () => {
  const { database } = await emptyDatabase();
  await migrate(database);
  await sql`insert into kysely_migration values ('9999_newer', now()::text)`.execute(database);
  expect(await isMigrated(database)).toBe(true);
  expect(await migrate(database)).toEqual([]);
});

/** The newest migration of the oldest version from which a stack can be upgraded. */
const oldest = "0007_warm";

/** A database of the version `oldest`, with this many ended sessions that still have their tasks. */
async function oldDatabase(ended = 0): Promise<Database> {
  const { database } = await emptyDatabase();
  const old = Object.entries(migrations).filter(([name]) => name <= oldest);
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => Object.fromEntries(old) } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  await sql`
    insert into sessions (id, tenant, namespace, tier, state, task)
    select gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'stopped', 'sealed' from generate_series(1, ${ended})`.execute(
    database,
  );
  return database;
}

/** Creates a session as the previous version does. Fails if the statement waits for a lock for more than 5 s. */
const write = (database: Database) =>
  database.transaction().execute(async (transaction) => {
    await sql`set local lock_timeout = '5s'`.execute(transaction);
    await sql`
      insert into sessions (id, tenant, namespace, tier, state)
      values (gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'queued')`.execute(transaction);
  });

test("a migration that waits for a dump does not block writers, and runs when the dump is over", async () => {
  const database = await oldDatabase();
  const failed = await database.transaction().execute(async (dump) => {
    await sql`lock table sessions in access share mode`.execute(dump);
    const migrating = migrate(database).catch((error: unknown) => error);
    const waits = sql`select from pg_locks where relation = 'sessions'::regclass and not granted`;
    await until(
      "the migration waits",
      30,
      () => waits.execute(database),
      ({ rows }) => rows.length > 0,
    );
    await write(database);
    return migrating;
  });
  expect(failed).toSatisfy(isTableInUse);
  expect(await migrate(database)).toContain("0009_rooms");
  expect(await isMigrated(database)).toBe(true);
});

test("old rows are changed in pages, so that no transaction locks many of them", async () => {
  const database = await oldDatabase(2_500);
  await migrate(database);
  const { rows } = await sql<{ tasks: number; transactions: number }>`
    select count(task)::int as tasks, count(distinct xmin::text)::int as transactions from sessions`.execute(database);
  expect(rows).toEqual([{ tasks: 0, transactions: 3 }]);
});

test("an index that an interrupted migration left unfinished is built again", async () => {
  const database = await oldDatabase(2);
  await sql`insert into session_events (session_id, type, state, version, actor)
    select id, 'created', 'stopped', 1, 'somebody' from sessions`.execute(database);
  await sql`insert into webhook_deliveries (tenant, url, event_id)
    select 'acme', 'https://a.example', id from session_events`.execute(database);
  // Two rows have the same url, so this statement fails and leaves an invalid index.
  const unfinished = sql`create unique index concurrently webhook_deliveries_by_url on webhook_deliveries (url)`;
  await expect(unfinished.execute(database)).rejects.toThrow(/could not create unique index/);
  await migrate(database);
  const { rows } = await sql<{ indisvalid: boolean; indisunique: boolean }>`
    select indisvalid, indisunique from pg_index where indexrelid = 'webhook_deliveries_by_url'::regclass`.execute(
    database,
  );
  expect(rows).toEqual([{ indisvalid: true, indisunique: false }]);
});

test("if a migrating process ends while Postgres builds an index, the next process waits for that index and goes on", async () => {
  const database = await oldDatabase();
  const { rows: names } = await sql<{ name: string }>`select current_database() as name`.execute(database);
  const pool = new pg.Pool({ ...ownStores().postgres, database: `${names[0]?.name}` });
  const sockets: Socket[] = [];
  // `stream` is not part of the types of pg.
  pool.on("connect", (client) => {
    client.on("error", () => {});
    sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream);
  });
  pool.on("error", () => {});
  const first = migrate(new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })).catch(
    (error: unknown) => error,
  );
  const indexOf = async () => {
    const { rows } = await sql<{ oid: number; indisvalid: boolean }>`
      select indexrelid as oid, indisvalid from pg_index
      where indexrelid = to_regclass('webhook_deliveries_by_url')`.execute(database);
    return rows[0];
  };
  let began: Awaited<ReturnType<typeof indexOf>>;
  let next: Promise<string[]> | undefined;
  // Postgres waits for the end of this transaction, which locks no table, before it declares an index valid.
  await database
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (older) => {
      await sql`select 1`.execute(older);
      began = await until("the build of the index begins", 30, indexOf);
      for (const socket of sockets) socket.destroy();
      expect(await first).toBeInstanceOf(Error);
      next = migrate(database);
      expect(await indexOf()).toEqual({ ...began, indisvalid: false });
    });
  expect(await next).toContain("0022_history");
  expect(await indexOf()).toEqual({ ...began, indisvalid: true });
  expect(await isMigrated(database)).toBe(true);
});

test("events of all versions have their tenant, and those of warm sessions before their claim have none", async () => {
  const database = await oldDatabase();
  await sql`
    insert into sessions (id, tenant, namespace, tier, state, warm, created_at)
    values
      (gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'running', null, now() - interval '1 hour'),
      (gen_random_uuid(), 'beta', 'tenant-beta', 'small', 'running', null, now()), -- claimed now
      (gen_random_uuid(), 'gamma', 'tenant-gamma', 'small', 'running', 'a template', now())`.execute(database);
  const log = (type: string, at = sql`now()`) =>
    sql`insert into session_events (session_id, type, state, version, actor, at)
      select id, ${type}, 'running', 1, 'somebody', ${at} from sessions`.execute(database);
  await log("progress", sql`now() - interval '1 minute'`);
  const events = 2_500;
  await sql`insert into session_events (session_id, type, state, version, actor)
    select id, 'command', 'running', 1, 'somebody' from sessions, generate_series(1, ${events})
    where tenant = 'acme'`.execute(database);
  await migrate(database);
  await log("file"); // as a version before this one does
  const { rows } = await sql<{ tenant: string; of: string | null; type: string; count: string }>`
    select session.tenant, event.tenant as of, type, count(*)
    from session_events as event join sessions as session on session.id = event.session_id
    group by 1, 2, 3 order by 1, 3, 2`.execute(database);
  expect(rows.map(({ tenant, of, type, count }) => [tenant, type, of, Number(count)])).toEqual([
    ["acme", "command", "acme", events],
    ["acme", "file", "acme", 1],
    ["acme", "progress", "acme", 1],
    ["beta", "file", "beta", 1],
    ["beta", "progress", null, 1],
    ["gamma", "file", null, 1],
    ["gamma", "progress", null, 1],
  ]);
});

test("an event that a version before this one appends with its new session has its tenant", async () => {
  const { database } = await emptyDatabase();
  await migrate(database);
  await sql`
    with created as (
      insert into sessions (id, tenant, namespace, tier, state)
      values (gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'queued') returning *
    )
    insert into session_events (session_id, type, state, version, actor)
    select id, 'created', state, version, 'somebody' from created`.execute(database);
  expect(await database.selectFrom("session_events").select("tenant").execute()).toEqual([{ tenant: "acme" }]);
});

test("writers of the version before do not wait for any migration", async () => {
  const database = await oldDatabase(2_500);
  let isOver = false;
  const migrating = migrate(database).finally(() => {
    isOver = true;
  });
  let written = 0;
  while (!isOver) {
    await write(database); // fails if it waits for 5 s
    written += 1;
  }
  await migrating;
  expect(written).toBeGreaterThan(0);
});
