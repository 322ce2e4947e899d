/** Redis and Postgres fail in the middle of starts and stops, with real pods. Every test ends with the full audit. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { audit, openWorker, useCluster } from "../testing/cluster.ts";
import { until } from "../testing/fixtures.ts";

const place = useCluster();
const { namespace } = place;
const count = 8;

/** Starts and stops sessions, and has it happen in the middle of both; all get where they should, and nothing is left over. */
async function throughout(happens: () => Promise<void>): Promise<void> {
  const worker = await openWorker(place, { maxStarting: 3 });
  const { create, stop, allBecome, numberIn, database } = worker;
  const sessions = [];
  for (let index = 0; index < count; index += 1) {
    sessions.push(await create({ workspaceMode: index % 2 === 0 ? "persistent" : "ephemeral" }));
  }
  await until(async () => (await numberIn("running")) >= 2);
  expect(await numberIn("running")).toBeLessThan(count);
  await happens();
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  await Promise.all(sessions.slice(0, count / 2).map(({ id }) => stop(id)));
  await until(async () => (await numberIn("stopped")) >= 2);
  await Promise.all(sessions.slice(count / 2).map(({ id }) => stop(id)));
  await happens();
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
}

test("Redis loses all it holds", async () => {
  const redis = new Redis(place.stores.redis);
  await throughout(async () => void (await redis.flushall())).finally(() => redis.disconnect());
});

test("Redis ends, stays away for some seconds, and comes back empty", async () => {
  await throughout(async () => {
    await place.crash("redis");
    await sleep(3_000);
    await place.restart("redis");
  });
});

test("Postgres ends, stays away for some seconds, and comes back", async () => {
  await throughout(async () => {
    await place.crash("postgres");
    await sleep(3_000);
    await place.restart("postgres");
  });
});
