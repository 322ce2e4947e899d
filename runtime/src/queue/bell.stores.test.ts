import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { emptyRedis } from "../testing/fixtures.ts";
import { Bell } from "./bell.ts";

test("many rings make few messages, and the last ring is always heard", async () => {
  const redis = await emptyRedis();
  const bell = new Bell(redis, "events");
  let [heard, rung] = [0, 0];
  onTestFinished(bell.listen(() => (heard += 1)));
  await until(
    "the listener has subscribed",
    30,
    () => redis.call("PUBSUB", "NUMSUB", "berth:events"),
    (found) => (found as [string, number])[1] === 1,
  );
  const begun = performance.now();
  for (; rung < 500; rung += 1) {
    bell.ring();
    await new Promise(setImmediate);
  }
  const ms = performance.now() - begun;
  await until("a ring was heard", 30, () => heard > 0);
  // The bell waits for 10 ms, and a timer of Node may end up to a millisecond early.
  expect(heard).toBeLessThan(Math.min(rung, ms / 9 + 2));
  const before = heard;
  bell.ring();
  await until("a later ring is heard", 30, () => heard > before);
});
