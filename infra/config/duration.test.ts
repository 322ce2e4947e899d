import { expect, test } from "vitest";
import { secondsOf } from "./duration.ts";

test.each([
  ["90s", 90],
  ["30m", 1_800],
  ["8h", 28_800],
  ["7d", 604_800],
  ["0s", 0],
])("%s is %d seconds", (text, seconds) => expect(secondsOf(text)).toBe(seconds));

test.each(["", "30", "m", "1.5h", "-1h", "1h30m", "30 m"])("%j is not a duration", (text) =>
  expect(secondsOf(text)).toBeUndefined(),
);
