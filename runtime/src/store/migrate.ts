/**
 * Migrates the database's tables to this version of the program, while pods of the previous version keep reading and
 * writing. So no migration may make those pods wait for long:
 *
 * - Most migrations are one transaction each. Such a transaction waits at most one second for the lock of a table, because
 *   while it waits for the lock, all later statements that use the table wait too.
 * - Rows are changed in pages, and `addIndex` creates indexes of tables that have rows. A migration that does so sets `export
 *   const transaction = false`: each of its statements commits by itself and must be harmless when it is repeated.
 * - Migrations remove no tables and no columns, so that the previous version can be deployed again.
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
import * as portUses from "./migrations/0018_port_uses.ts";
import * as portGrants from "./migrations/0019_port_grants.ts";
import * as settledPosition from "./migrations/0020_settled_position.ts";
import * as tenantsOfEvents from "./migrations/0021_tenants_of_events.ts";
import * as history from "./migrations/0022_history.ts";
import * as planning from "./migrations/0023_planning.ts";
import * as claimedTasks from "./migrations/0024_claimed_tasks.ts";
import * as deliveriesByReceiver from "./migrations/0025_deliveries_by_receiver.ts";
import * as progress from "./migrations/0026_progress.ts";
import * as warmIndexes from "./migrations/0027_warm_indexes.ts";

/** A migration; `transaction: false` if it runs without a transaction. */
type RuntimeMigration = Migration & { transaction?: false };

// Imported one by one, so that the compiler checks each migration and the program reads no folder at run time.
export const migrations: Record<string, RuntimeMigration> = {
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
  "0018_port_uses": portUses,
  "0019_port_grants": portGrants,
  "0020_settled_position": settledPosition,
  "0021_tenants_of_events": tenantsOfEvents,
  "0022_history": history,
  "0023_planning": planning,
  "0024_claimed_tasks": claimedTasks,
  "0025_deliveries_by_receiver": deliveriesByReceiver,
  "0026_progress": progress,
  "0027_warm_indexes": warmIndexes,
};

/** How many milliseconds pass between two checks whether another migrating process has finished. */
const pollMs = 250;

/**
 * Runs the migrations that have not run yet, and returns their names. If several processes call this at the same time, one
 * runs the migrations and the others wait. Migrations of a later version that have run already stay. If a migration fails,
 * the ones before it stay, and the next call continues with the failed one.
 * @throws an error that `isTableInUse` recognizes if another process held a table's lock for too long
 */
export async function migrate(database: Database): Promise<string[]> {
  while (!(await isMigrated(database))) {
    const done = await database.connection().execute((connection) => ifAlone(connection, () => runAll(connection)));
    if (done !== undefined) return done;
    await sleep(pollMs);
  }
  return [];
}

/** Whether a migration failed because another process held the lock of a table, so that a retry may help. */
export const isTableInUse = (error: unknown): boolean =>
  ["55P03", "40P01"].includes(`${(error as { code?: unknown }).code}`); // lock_not_available, deadlock_detected

/**
 * Runs the work. If another process runs migrations, does nothing and returns undefined. No process waits for the lock
 * inside a statement, because the waiting statement would be an open transaction, and `create index concurrently` waits for
 * all open transactions.
 */
async function ifAlone<T>(connection: Database, work: () => Promise<T>): Promise<T | undefined> {
  const lock = sql`hashtext('migrations')`;
  const { rows } = await sql<{ alone: boolean }>`select pg_try_advisory_lock(${lock}) as alone`.execute(connection);
  if (!rows[0]?.alone) return undefined;
  try {
    return await work();
  } finally {
    // If the connection is broken, Postgres has released the lock.
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

/** The migrations. Each migration that is a transaction gives up after waiting one second for a lock. */
const impatient = (own: Record<string, RuntimeMigration>): Record<string, Migration> =>
  Object.fromEntries(
    Object.entries(own).map(([name, { up, transaction = true }]) => [
      name,
      {
        up: async (db: Kysely<unknown>) => {
          if (transaction) await sql`set local lock_timeout = '1s'`.execute(db);
          await up(db);
        },
      },
    ]),
  );

/** Whether every migration of this program has run. Throws if Postgres does not answer. */
export async function isMigrated(database: Database): Promise<boolean> {
  const { rows } = await sql<{ name: string | null }>`select to_regclass('kysely_migration')::text as name`.execute(
    database,
  );
  if (rows[0]?.name == null) return false;
  const done = await sql<{ name: string }>`select name from kysely_migration`.execute(database);
  const names = new Set(done.rows.map((row) => row.name));
  return Object.keys(migrations).every((name) => names.has(name));
}
