import { sql } from "kysely";
import { expect, test } from "vitest";
import { emptyDatabase } from "../testing/fixtures.ts";
import { isMigrated, migrate } from "./migrate.ts";

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
    "0013_session_images",
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
