/** Alerts about Postgres and Redis, and about the database's backups. */
import { secondsOf } from "../../config/duration.ts";
import type { PrometheusConfig } from "../../config/monitoring.ts";
import { type Alert, everyProcessSays } from "./alert.ts";

type Ages = PrometheusConfig["alertAges"];

/** Alerts about the metrics that the exporters of Postgres and Redis report. */
export const storeAlerts: Alert[] = [
  {
    name: "PostgresDown",
    severity: "page",
    expr: "pg_up == 0 or absent(pg_up)",
    for: "2m",
    summary: "Postgres does not answer.",
    description:
      "The API can't start, end or show sessions. Running sessions continue. Check the pod of Postgres, its volume and its log.",
  },
  {
    name: "RedisDown",
    severity: "page",
    expr: "redis_up == 0 or absent(redis_up)",
    for: "2m",
    summary: "Redis does not answer.",
    description:
      "The worker starts and ends no sessions until Redis answers. Then the worker continues by itself, even if Redis has lost its data.",
  },
  {
    name: "RedisEvicting",
    severity: "page",
    expr: "increase(redis_evicted_keys_total[10m]) > 0",
    summary: "Redis evicted {{ $value | humanize }} keys, which may have been jobs.",
    description:
      "Redis must have the setting maxmemory-policy noeviction. The setting was changed, or the external Redis is a cache. The sweep makes lost jobs again.",
  },
  {
    name: "RedisMemoryHigh",
    severity: "ticket",
    expr: "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9",
    for: "10m",
    summary: "Redis uses {{ $value | humanizePercentage }} of its memory limit.",
    description:
      "A full Redis refuses new jobs. Check the number of waiting jobs. Failed and completed jobs are not the reason, because their number is limited.",
  },
];

/**
 * Alerts about the dumps of the bundled Postgres.
 * @param ages how long ago the last dump and the last successful restore check may be, for example 26h
 */
export const backupAlerts = ({ backup, restoreCheck }: Ages): Alert[] => [
  {
    name: "BackupTooOld",
    severity: "page",
    expr: tooOld(backupTime, backup),
    for: "10m",
    summary: "The last dump of the database is {{ $value | humanizeDuration }} old.",
    description: "Check the log of the Job postgres-dump: the volume may be full, or the database may not answer.",
  },
  {
    name: "BackupMissing",
    severity: "page",
    expr: `absent(${backupTime}{job="platform"})`,
    for: backup,
    summary: "The database was never dumped.",
    description:
      "There is no dump, although the stack exists for longer than the highest age of a dump. Check the CronJob postgres-dump and the log of its last Job.",
  },
  {
    name: "RestoreCheckTooOld",
    severity: "ticket",
    expr: tooOld("berth_restore_check_last_success_timestamp_seconds", restoreCheck),
    for: "10m",
    summary: "The last successful restore check was {{ $value | humanizeDuration }} ago.",
    description:
      "It is unknown whether the newest dump can be restored. Check the log of the last Job postgres-restore-check, which shows the error or the differences.",
  },
];

const backupTime = "berth_backup_last_success_timestamp_seconds";

function tooOld(metric: string, age: string): string {
  return `time() - ${everyProcessSays(metric)} > ${secondsOf(age)}`;
}
