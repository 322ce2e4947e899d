import { sql } from "kysely";
import { expect, test } from "vitest";
import { Metrics } from "../telemetry/metrics.ts";
import { emptyDatabase, patienceMs } from "../testing/fixtures.ts";
import { addBackupMetrics } from "./backups.ts";

/** The lines of /metrics that contain values. */
const gauges = async ({ registry }: Metrics) =>
  (await registry.metrics()).split("\n").filter((line) => /^berth_(backup|restore)/.test(line));

test("the results that the backup jobs wrote are exported; a job that never succeeded has no value", async () => {
  const { database } = await emptyDatabase();
  const metrics = new Metrics(patienceMs);
  addBackupMetrics(metrics, database);
  expect(await gauges(metrics)).toEqual([]);

  await sql`create schema backup`.execute(database);
  await sql`create table backup.status (job text primary key, last_success timestamptz not null)`.execute(database);
  await sql`insert into backup.status values ('dump', '2026-11-21T01:30:05Z')`.execute(database);
  expect(await gauges(metrics)).toEqual(["berth_backup_last_success_timestamp_seconds 1795224605"]);

  await sql`insert into backup.status values ('restore-check', '2026-11-21T03:30:05Z')`.execute(database);
  expect(await gauges(metrics)).toContain("berth_restore_check_last_success_timestamp_seconds 1795231805");
});
