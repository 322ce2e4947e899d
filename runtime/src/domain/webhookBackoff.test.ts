import { expect, test } from "vitest";
import { nextAttempt } from "./webhookBackoff.ts";

test("each attempt waits longer than the previous one, up to four hours, and after twelve attempts there are no more", () => {
  const waits = Array.from({ length: 13 }, (_, index) => nextAttempt(index + 1, undefined, 0.5));
  expect(waits).toEqual([5, 20, 80, 320, 1_280, 5_120, 14_400, 14_400, 14_400, 14_400, 14_400, "dead", "dead"]);
});

test("a receiver's Retry-After is obeyed, within limits", () => {
  expect(nextAttempt(1, 90, 0.5)).toBe(90);
  expect(nextAttempt(1, 1_000_000, 0.5)).toBe(14_400);
  expect(nextAttempt(4, 10, 0.5)).toBe(320);
});

test("deliveries that failed together are not repeated at the same moment", () => {
  expect(nextAttempt(2, undefined, 0)).toBe(16);
  expect(nextAttempt(2, undefined, 1)).toBe(24);
});
