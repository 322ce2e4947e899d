import { expect, test } from "vitest";
import { Limiter } from "./limiter.ts";

test("a burst is allowed, then one call per second, and each session is counted separately", () => {
  const limiter = new Limiter();
  for (let call = 0; call < 20; call += 1) expect(limiter.take("a", 0)).toBe(0);
  expect(limiter.take("a", 0)).toBe(1);
  expect(limiter.take("b", 0)).toBe(0);
  expect(limiter.take("a", 999)).toBe(1);
  expect(limiter.take("a", 1_000)).toBe(0);
  expect(limiter.take("a", 1_000)).toBe(1);
  for (let call = 0; call < 20; call += 1) expect(limiter.take("a", 60_000)).toBe(0);
});

test("sessions that do not call any more are removed from the memory", () => {
  const limiter = new Limiter();
  for (let session = 0; session < 100; session += 1) limiter.take(`session-${session}`, session);
  limiter.take("last", 20_050);
  expect(limiter.size).toBe(50);
});
