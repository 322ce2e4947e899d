/**
 * Brings the database's tables up to this version of the program, while pods of the version before go on reading and writing.
 * So no migration may hold a lock that they wait for:
 *
 * - Each migration commits by itself, and waits for a second only for a table that somebody else uses: whoever comes behind
 *   a migration that waits, waits with it.
 * - Rows are changed by the page, and indexes of tables that have rows are made with `addIndex`. Such a migration says
 *   `export const transaction = false`: its statements commit one by one, and each must be harmless a second time.
 * - Migrations only ever add, so that the version before can be brought back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Database } from "./database.ts";
import * as sessions from "./migrations/0001_sessions.ts";
import * as lifecycle from "./migrations/0002_lifecycle.ts";
import * as webhooks from "./migrations/0004_webhooks.ts";
import * as turns from "./migrations/0005_turns.ts";
import * as commands from "./migrations/0006_commands.ts";
import * as warm from "./migrations/0007_warm.ts";
import * as tasksOfEnded from "./migrations/0008_tasks_of_ended.ts";
import * as rooms from "./migrations/0009_rooms.ts";
import * as sessionLogs from "./migrations/0011_session_logs.ts";
import * as generations from "./migrations/0012_generations.ts";
import * as deliveriesByUrl from "./migrations/0013_deliveries_by_url.ts";
import * as sessionImages from "./migrations/0014_session_images.ts";
import * as uses from "./migrations/0015_uses.ts";
import * as grants from "./migrations/0016_grants.ts";
import * as tokenKeys from "./migrations/0017_token_keys.ts";

/** A migration, with `transaction: false` if it runs without one. */
type Step = Migration & { transaction?: false };

// Imported one by one, so that the compiler sees them and no folder is read at run time.
export const migrations: Record<string, Step> = {
  "0001_sessions": sessions,
  "0002_lifecycle": lifecycle,
  "0004_webhooks": webhooks,
  "0005_turns": turns,
  "0006_commands": commands,
  "0007_warm": warm,
  "0008_tasks_of_ended": tasksOfEnded,
  "0009_rooms": rooms,
  "0011_session_logs": sessionLogs,
  "0012_generations": generations,
  "0013_deliveries_by_url": deliveriesByUrl,
  "0014_session_images": sessionImages,
  "0015_uses": uses,
  "0016_grants": grants,
  "0017_token_keys": tokenKeys,
};

/** How often it is asked whether another process that migrates is through, in milliseconds. */
const pollMs = 250;

/**
 * Runs what has not run yet; returns the names of what ran. Processes that do so at the same time wait for each other. Where a
 * later version has been before, its migrations stay. What ran before an error stays too, and the next call goes on there.
 * @throws an error that `isTableInUse` knows where somebody held a table for too long
 */
export async function migrate(database: Database): Promise<string[]> {
  while (!(await isMigrated(database))) {
    const done = await database.connection().execute((connection) => ifAlone(connection, () => runAll(connection)));
    if (done !== undefined) return done;
    await sleep(pollMs);
  }
  return [];
}

/** Whether the error means that a migration did not get a table's lock, because somebody else has it: later it may. */
export const isTableInUse = (error: unknown): boolean =>
  ["55P03", "40P01"].includes(`${(error as { code?: unknown }).code}`); // lock_not_available, deadlock_detected

/**
 * Runs the work unless another process does so; then undefined. No process waits for the lock inside a statement: that
 * statement would be a transaction, and an index that is made beside writers waits for all transactions.
 */
async function ifAlone<T>(connection: Database, work: () => Promise<T>): Promise<T | undefined> {
  const lock = sql`hashtext('migrations')`;
  const { rows } = await sql<{ alone: boolean }>`select pg_try_advisory_lock(${lock}) as alone`.execute(connection);
  if (!rows[0]?.alone) return undefined;
  try {
    return await work();
  } finally {
    // Where the connection is broken, the lock has gone with it.
    await sql`select pg_advisory_unlock(${lock})`.execute(connection).catch(() => {});
  }
}

async function runAll(database: Database): Promise<string[]> {
  const provider = { getMigrations: async () => impatient(migrations) };
  const migrator = new Migrator({ db: database, provider });
  const done: string[] = [];
  for (const { name, executedAt } of await migrator.getMigrations()) {
    if (executedAt !== undefined) continue;
    const disableTransactions = migrations[name]?.transaction === false;
    const { error } = await migrator.migrateUp({ disableTransactions });
    if (error !== undefined) throw error;
    done.push(name);
  }
  return done;
}

/** The migrations, of which those with a transaction give up after a second of waiting for a lock. */
const impatient = (steps: Record<string, Step>): Record<string, Migration> =>
  Object.fromEntries(
    Object.entries(steps).map(([name, { up, transaction = true }]) => [
      name,
      {
        up: async (db: Kysely<unknown>) => {
          if (transaction) await sql`set local lock_timeout = '1s'`.execute(db);
          await up(db);
        },
      },
    ]),
  );

/** Whether every migration of this program has run. Throws if Postgres can't be asked. */
export async function isMigrated(database: Database): Promise<boolean> {
  const { rows } = await sql<{ name: string | null }>`select to_regclass('kysely_migration')::text as name`.execute(
    database,
  );
  if (rows[0]?.name == null) return false;
  const done = await sql<{ name: string }>`select name from kysely_migration`.execute(database);
  const names = new Set(done.rows.map((row) => row.name));
  return Object.keys(migrations).every((name) => names.has(name));
}
