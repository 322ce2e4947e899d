import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { emptyRedis, patienceMs, silent } from "../../testing/fixtures.ts";
import type { AdminCaller } from "./caller.ts";
import { RateLimit } from "./rateLimit.ts";

const caller: AdminCaller = { role: "admin", actor: { name: "admin:ops" } };

/** Counts a call, and returns whether it is within the limit. */
const isWithin = async (limit: RateLimit) => {
  const rate = await limit.take(caller);
  try {
    rate?.refuse();
    return rate !== undefined;
  } catch {
    return false;
  }
};

test("a process that has seen few calls soon refuses a caller who has used its limit at another process", async () => {
  const redis = await emptyRedis();
  const [one, other] = [new RateLimit(redis, 200, silent, patienceMs), new RateLimit(redis, 200, silent, patienceMs)];
  expect(await isWithin(one)).toBe(true);
  const many = await Promise.all(Array.from({ length: 250 }, () => isWithin(other)));
  expect(many.filter(Boolean)).toHaveLength(199);
  await until("Redis has counted all calls", 30, async () => (await redis.get("rate:admin:ops")) === "251");
  let passed = 0;
  await until("the first process refuses", 30, async () => {
    if (!(await isWithin(one))) return true;
    passed += 1;
    return false;
  });
  expect(passed).toBeLessThan(10);
});

test("calls far from the limit are counted in few steps", async () => {
  const redis = await emptyRedis();
  const limit = new RateLimit(redis, 10_000, silent, patienceMs);
  await redis.config("RESETSTAT");
  for (let calls = 0; calls < 500; calls += 1) expect(await isWithin(limit)).toBe(true);
  await until("Redis has counted all calls", 30, async () => (await redis.get("rate:admin:ops")) === "500");
  const [, steps] = /cmdstat_incrby:calls=(\d+)/.exec(await redis.info("commandstats")) ?? [];
  expect(Number(steps)).toBeLessThan(100);
});
