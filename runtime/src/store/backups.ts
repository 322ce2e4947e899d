/** When the database was last backed up, and when a backup was last restored as a test. */
import { sql } from "kysely";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Database } from "./database.ts";

/**
 * The stack's backup jobs (infra/stores/postgres-backup). Each key is a job's name in the table `backup.status`, which the
 * jobs write.
 */
const jobs = {
  dump: ["berth_backup_last_success_timestamp_seconds", "When the database was last dumped, in seconds since 1970."],
  "restore-check": [
    "berth_restore_check_last_success_timestamp_seconds",
    "When the newest dump was last restored and checked successfully, in seconds since 1970.",
  ],
} as const;

/**
 * Adds both metrics; every worker reports the same values. A metric has no value if its job never succeeded, or if the
 * stack does not back up this Postgres.
 */
export function addBackupMetrics(metrics: Metrics, database: Database): void {
  for (const [job, [name, help]] of Object.entries(jobs))
    metrics.gauge(name, help, [], async (gauge) => {
      const time = await lastSuccess(database, job);
      if (time !== undefined) gauge.set(time);
    });
}

/** The time of the job's last success in seconds since 1970; undefined if the job never succeeded. */
async function lastSuccess(database: Database, job: string): Promise<number | undefined> {
  const { rows: tables } = await sql<{ found: boolean }>`
    select to_regclass('backup.status') is not null as found`.execute(database);
  if (!tables[0]?.found) return undefined;
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from last_success)::float8 as seconds from backup.status where job = ${job}`.execute(database);
  return rows[0]?.seconds;
}
