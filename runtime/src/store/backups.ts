/** When the database was last dumped, and last restored to see that it can be. */
import { sql } from "kysely";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Database } from "./database.ts";

/** Jobs of the stack as they name themselves in `backup.status`, which they make and write: infra/stores/postgres-backup. */
const jobs = {
  dump: ["berth_backup_last_success_timestamp_seconds", "When the database was last dumped."],
  "restore-check": [
    "berth_restore_check_last_success_timestamp_seconds",
    "When the newest dump was last restored and found to be whole.",
  ],
} as const;

/**
 * Adds both metrics, the same from every process. A job that never succeeded has no figure, and neither has a Postgres
 * that the stack doesn't back up.
 */
export function addBackupFigures(metrics: Metrics, database: Database): void {
  for (const [job, [name, help]] of Object.entries(jobs))
    metrics.figure(name, help, [], async (gauge) => {
      const time = await lastSuccess(database, job);
      if (time !== undefined) gauge.set(time);
    });
}

/** Seconds since 1970, or undefined where the job never succeeded. */
async function lastSuccess(database: Database, job: string): Promise<number | undefined> {
  const { rows: tables } = await sql<{ found: boolean }>`
    select to_regclass('backup.status') is not null as found`.execute(database);
  if (!tables[0]?.found) return undefined;
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from last_success)::float8 as seconds from backup.status where job = ${job}`.execute(database);
  return rows[0]?.seconds;
}
