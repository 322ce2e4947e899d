/** Brings the database's tables up to this version of the program. */
import { sql } from "kysely";
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
import * as sessionImages from "./migrations/0013_session_images.ts";

// Imported one by one, so that the compiler sees them and no folder is read at run time.
const migrations: Record<string, Migration> = {
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
  "0013_session_images": sessionImages,
};

/**
 * Runs what has not run yet, all in one transaction under a lock in Postgres; returns the names of what ran. Where a later
 * version has been before, its migrations stay: migrations only ever add, so that an older version can be brought back.
 */
export async function migrate(database: Database): Promise<string[]> {
  if (await isMigrated(database)) return [];
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  return (results ?? []).filter((result) => result.status === "Success").map((result) => result.migrationName);
}

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
