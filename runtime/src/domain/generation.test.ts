import { expect, test } from "vitest";
import { isBehind } from "./generation.ts";

test.each([
  ["an older file than the session's", 6, 7, true],
  ["the session's own file", 7, 7, false],
  ["a newer file", 8, 7, false],
  ["a file without a number, and a session of a file without a number", 0, 0, false],
  ["a file without a number, and a session of a file with one", 0, 1, true],
])("a process with %s", (_, own, stored, behind) => {
  expect(isBehind(own, stored)).toBe(behind);
});
