import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { Migrator } from "kysely/migration";
import { expect, test } from "vitest";
import { emptyDatabase } from "../testing/fixtures.ts";
import type { Database } from "./database.ts";
import { isMigrated, isTableInUse, migrate, migrations } from "./migrate.ts";

test("migrations run once, however often and by however many they are started", async () => {
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
  ]);
  expect(await migrate(database)).toEqual([]);
  expect(await isMigrated(database)).toBe(true);
});

test("an older version that is brought back leaves a newer one's tables alone", async () => {
  const { database } = await emptyDatabase();
  await migrate(database);
  await sql`insert into kysely_migration values ('9999_newer', now()::text)`.execute(database);
  expect(await isMigrated(database)).toBe(true);
  expect(await migrate(database)).toEqual([]);
});

/** The last migration of the version from which the oldest stacks are upgraded. */
const oldest = "0007_warm";

/** A database of that version, with so many sessions that have ended and still have their tasks. */
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

/** As the version before makes a session. Fails if it has to wait for 5 s. */
const write = (database: Database) =>
  database.transaction().execute(async (transaction) => {
    await sql`set local statement_timeout = '5s'`.execute(transaction);
    await sql`
      insert into sessions (id, tenant, namespace, tier, state)
      values (gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'queued')`.execute(transaction);
  });

test("a migration that waits for a dump to end lets writers through, and runs when the dump is over", async () => {
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

test("old rows are changed by the page, so that no transaction holds many of them", async () => {
  const database = await oldDatabase(2_500);
  await migrate(database);
  const { rows } = await sql<{ tasks: number; transactions: number }>`
    select count(task)::int as tasks, count(distinct xmin::text)::int as transactions from sessions`.execute(database);
  expect(rows).toEqual([{ tasks: 0, transactions: 3 }]);
});

test("an index that an interrupted migration has left unfinished is made anew", async () => {
  const database = await oldDatabase(2);
  await sql`insert into session_events (session_id, type, state, version, actor)
    select id, 'created', 'stopped', 1, 'somebody' from sessions`.execute(database);
  await sql`insert into webhook_deliveries (tenant, url, event_id)
    select 'acme', 'https://a.example', id from session_events`.execute(database);
  // Two rows have the same url, so this fails and leaves an index that is never used.
  const unfinished = sql`create unique index concurrently webhook_deliveries_by_url on webhook_deliveries (url)`;
  await expect(unfinished.execute(database)).rejects.toThrow(/could not create unique index/);
  await migrate(database);
  const { rows } = await sql<{ indisvalid: boolean; indisunique: boolean }>`
    select indisvalid, indisunique from pg_index where indexrelid = 'webhook_deliveries_by_url'::regclass`.execute(
    database,
  );
  expect(rows).toEqual([{ indisvalid: true, indisunique: false }]);
});
