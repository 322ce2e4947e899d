/** Redis and Postgres fail during starts and stops, with real pods. Every test ends with the full audit. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { audit, openWorker, useCluster, useOwnStores } from "../testing/cluster.ts";
import { holdAfter, startKubeFront } from "../testing/kubeFront.ts";

const place = useOwnStores(useCluster());
const { namespace } = place;
const count = 8;

/**
 * Starts and stops sessions, and causes the failure in the middle of both: half of the sessions can't continue before
 * the failure is over. Then checks that every session reached the wanted state (first `running`, then `stopped`), and that
 * Kubernetes has no object that belongs to no session.
 */
async function throughout(happens: () => Promise<void>): Promise<void> {
  const front = await startKubeFront();
  onTestFinished(() => front.close());
  const worker = await openWorker(place, { maxStarting: 3, kubeConfig: front.config });
  const { create, stop, allBecome, someBecome, numberIn, database } = worker;
  const starts = holdAfter(front, "POST", count / 2);
  const sessions = [];
  for (let index = 0; index < count; index += 1) {
    sessions.push(await create({ workspaceMode: index % 2 === 0 ? "persistent" : "ephemeral" }));
  }
  await someBecome(2, "running");
  expect(await numberIn("running")).toBeLessThan(count);
  await happens();
  starts.go();
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  const stops = holdAfter(front, "DELETE", count / 2);
  await Promise.all(sessions.slice(0, count / 2).map(({ id }) => stop(id)));
  await someBecome(2, "stopped");
  await Promise.all(sessions.slice(count / 2).map(({ id }) => stop(id)));
  expect(await numberIn("stopped")).toBeLessThan(count);
  await happens();
  stops.go();
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
}

/** For how many milliseconds a store is down. This is the outage itself, not a wait for an event. */
const away = 3_000;

test("Redis loses all it holds", async () => {
  const redis = new Redis(place.stores.redis);
  await throughout(async () => void (await redis.flushall())).finally(() => redis.disconnect());
});

test("Redis stops for some seconds and comes back empty", async () => {
  await throughout(async () => {
    await place.crash("redis");
    await sleep(away);
    await place.restart("redis");
  });
});

test("Postgres stops for some seconds and comes back", async () => {
  await throughout(async () => {
    await place.crash("postgres");
    await sleep(away);
    await place.restart("postgres");
  });
});
