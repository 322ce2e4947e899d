import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test, vi } from "vitest";
import { emptyRedis, patienceMs, silent, storesConfig } from "../testing/fixtures.ts";
import { Overloads } from "./overloads.ts";
import { connectRedis } from "./redis.ts";

const key = "kubernetes:overloads";

test("every process counts the seconds in which any process has noted an overload; each of them writes once per second", async () => {
  const redis = await emptyRedis();
  const written = vi.spyOn(redis, "eval");
  const [one, other] = [new Overloads(redis, 600, patienceMs), new Overloads(redis, 600, patienceMs)];
  expect(await other.count()).toBe(0);
  written.mockClear();
  for (let call = 0; call < 100; call += 1) one.note();
  expect(written).toHaveBeenCalledTimes(1);
  await until("the overload is counted", 20, async () => (await other.count()) === 1);
  // The second process notes the same second, or the next one.
  other.note();
  expect(await one.count()).toBeLessThanOrEqual(2);
});

test("an overload counts for the given number of seconds", async () => {
  const redis = await emptyRedis();
  const overloads = new Overloads(redis, 600, patienceMs);
  const [seconds] = (await redis.time()) as [number, number];
  const now = Number(seconds);
  for (const ago of [1, 2, 6_000]) await redis.zadd(key, now - ago, now - ago);
  expect(await overloads.count()).toBe(2);
  overloads.note();
  await until("the overload is counted", 20, async () => (await overloads.count()) === 3);
  expect(await redis.zcard(key)).toBe(3);
  expect(await redis.ttl(key)).toBeGreaterThan(0);
});

test("without Redis, no overload is known", async () => {
  const redis = connectRedis({ ...storesConfig("none", ""), REDIS_PORT: 1 }, silent);
  onTestFinished(() => redis.disconnect());
  const overloads = new Overloads(redis, 10);
  overloads.note();
  expect(await overloads.count()).toBe(0);
});
