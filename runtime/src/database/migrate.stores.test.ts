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
  ]);
  expect(await migrate(database)).toEqual([]);
  expect(await isMigrated(database)).toBe(true);
});
