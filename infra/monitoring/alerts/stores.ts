/** Postgres and Redis, and whether what they hold could be brought back. */
import { secondsOf } from "../../config/duration.ts";
import type { PrometheusConfig } from "../../config/monitoring.ts";
import { type Alert, everyProcessSays } from "./alert.ts";

type Ages = PrometheusConfig["alertAges"];

/** The stores as their exporters see them. */
export const storeAlerts: Alert[] = [
  {
    name: "PostgresDown",
    severity: "page",
    expr: "pg_up == 0 or absent(pg_up)",
    for: "2m",
    summary: "Postgres doesn't answer.",
    description:
      "No session can be started, ended or asked for; those that run go on. Look at the pod, its volume and its log.",
  },
  {
    name: "RedisDown",
    severity: "page",
    expr: "redis_up == 0 or absent(redis_up)",
    for: "2m",
    summary: "Redis doesn't answer.",
    description: "Sessions don't move on until it is back; then they do by themselves, even if it comes back empty.",
  },
  {
    name: "RedisEvicting",
    severity: "page",
    expr: "increase(redis_evicted_keys_total[10m]) > 0",
    summary: "Redis threw away {{ $value | humanize }} keys, which may have been jobs.",
    description:
      "It must run with maxmemory-policy noeviction. Someone changed it, or the external Redis is a cache. The sweep makes up for lost jobs.",
  },
  {
    name: "RedisMemoryHigh",
    severity: "ticket",
    expr: "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9",
    for: "10m",
    summary: "Redis uses {{ $value | humanizePercentage }} of the memory that it may.",
    description:
      "Full, it refuses new jobs. Look at the queue's depth; failed and completed jobs are limited and never the reason.",
  },
];

/**
 * For the bundled Postgres.
 * @param ages how old the last dump and the last restored dump may be, for example 26h
 */
export const backupAlerts = ({ backup, restoreCheck }: Ages): Alert[] => [
  {
    name: "BackupTooOld",
    severity: "page",
    expr: tooOld(backupTime, backup),
    for: "10m",
    summary: "The last dump of the database is {{ $value | humanizeDuration }} old.",
    description: "Look at the Job's log: the volume may be full, or the database may not answer.",
  },
  {
    name: "BackupMissing",
    severity: "page",
    expr: `absent(${backupTime}{job="platform"})`,
    for: backup,
    summary: "The database was never dumped.",
    description:
      "The stack is older than a dump may be, and there is none. Look at the CronJob and the log of its last Job.",
  },
  {
    name: "RestoreCheckTooOld",
    severity: "ticket",
    expr: tooOld("berth_restore_check_last_success_timestamp_seconds", restoreCheck),
    for: "10m",
    summary: "It is {{ $value | humanizeDuration }} since a dump was last restored and found whole.",
    description: "A dump that can't be restored is none. Look at the log of the checking Job: it says what differs.",
  },
];

const backupTime = "berth_backup_last_success_timestamp_seconds";

function tooOld(metric: string, age: string): string {
  return `time() - ${everyProcessSays(metric)} > ${secondsOf(age)}`;
}
