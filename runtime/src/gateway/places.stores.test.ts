/** Tests the places of WebSockets (slots for them, see places.ts) with a real Redis. */
import { expect, onTestFinished, test } from "vitest";
import { PlaceLeases } from "../queue/placeLeases.ts";
import { emptyRedis, patienceMs, silent } from "../testing/fixtures.ts";
import { type Limit, Places } from "./places.ts";

const one: Limit = { of: "session:1", places: 2, refusal: "The session has 2 open." };
const all: Limit = { of: "tenant:acme", places: 3, refusal: "The tenant has 3 open." };

async function open(processes: number) {
  const redis = await emptyRedis();
  const each = Array.from({ length: processes }, () => new Places(new PlaceLeases(redis), silent, patienceMs));
  onTestFinished(() => each.forEach((places) => void places.beforeApplicationShutdown()));
  return { redis, each: each as [Places, Places] };
}

const refusal = (taking: Promise<unknown>) =>
  taking.then(
    () => undefined,
    ({ body }) => [body.status, body.detail],
  );

test("all processes count together, a returned place is free, and a refused client takes no place", async () => {
  const {
    redis,
    each: [first, second],
  } = await open(2);
  await first.take([one, all]);
  const release = await second.take([one, all]);
  expect(await refusal(first.take([one, all]))).toEqual([429, one.refusal]);
  expect(await redis.zcard("places:tenant:acme")).toBe(2);
  await first.take([{ ...one, of: "session:2" }, all]);
  expect(await refusal(second.take([{ ...one, of: "session:3" }, all]))).toEqual([429, all.refusal]);
  expect(await redis.exists("places:session:3")).toBe(0);
  release();
  await first.take([one, all]);
});

test("of many clients at once, no more get a place than there are", async () => {
  const { each } = await open(2);
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, index) => refusal((each[index % 2] as Places).take([one]))),
  );
  expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(2);
});

test("the places of a dead process are free when their leases have expired, and those of a living one are renewed", async () => {
  const {
    redis,
    each: [living, other],
  } = await open(2);
  await living.take([one]);
  await redis.zadd("places:session:1", 1, "of a process that died a minute ago");
  await other.take([one]);
  expect(await redis.zcard("places:session:1")).toBe(2);
  await redis.flushall();
  await living.renew();
  await other.renew();
  expect(await refusal(other.take([one]))).toEqual([429, one.refusal]);
});

test("while Redis does not answer, each process counts its own", async () => {
  const {
    redis,
    each: [places, other],
  } = await open(2);
  redis.disconnect();
  await places.take([one]);
  const release = await places.take([one]);
  expect(await refusal(places.take([one]))).toEqual([429, one.refusal]);
  release();
  await places.take([one]);
  await other.take([one]);
});
