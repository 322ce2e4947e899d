import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { jsonFault } from "./json.ts";

const isJson = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test.each([
  ['[{"name": "acme"},]', 1, 19],
  ['[\n  {"name": acme}\n]', 2, 12],
  ['{"name": "acme"', 1, 16],
  ["[1 2]", 1, 4],
  ["{name: 1}", 1, 2],
  ["[]]", 1, 3],
  ["[\n\n", 3, 1],
  ["", 1, 1],
])("%j stops being JSON at line %i, column %i", (text, line, column) => {
  expect(jsonFault(text)).toEqual({ line, column });
});

test("a text has a fault if and only if JSON.parse refuses it", () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom(...'[]{},:"\\ 0-.eE1truen\n\u0001'))
    .map(([text, at, character]) => {
      const cut = at % (text.length + 1);
      return text.slice(0, cut) + character + text.slice(cut + (at % 2));
    });
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken, fc.string()), (text) => {
      expect(jsonFault(text) === undefined).toBe(isJson(text));
    }),
    { numRuns: 2_000 },
  );
});
