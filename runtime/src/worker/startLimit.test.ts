import { expect, test } from "vitest";
import type { Load } from "../domain/quota/admissionPlan.ts";
import { nothing } from "../domain/quota/quantities.ts";
import { StartLimit } from "./startLimit.ts";

const load = (changes: Partial<Load>): Load => ({
  sessions: 0,
  starting: 0,
  slow: 0,
  late: 0,
  ready: 0,
  used: nothing,
  ...changes,
});

function open(nodes = 20) {
  let now = 0;
  const limit = new StartLimit({ configured: 10, perNode: 3, nodes: () => nodes, clock: () => now });
  return { limit, pass: (seconds: number) => (now += 1_000 * seconds) };
}

test("the starts of all tenants that succeeded raise the limit, until the reading is old", () => {
  const { limit, pass } = open();
  expect(limit.current()).toBe(10);
  expect(
    limit.read(
      new Map([
        ["acme", load({ ready: 20 })],
        ["beta", load({ ready: 12, late: 3 })],
      ]),
    ),
  ).toBe(42);
  expect(limit.current()).toBe(42);
  pass(10);
  expect(limit.current()).toBe(10);
});

test("each second with an overload halves the limit for 10 s, however many answers say so", () => {
  const { limit, pass } = open();
  limit.noteAnswer(200);
  expect(limit.current()).toBe(10);
  for (const code of [429, 429, 0, 504]) limit.noteAnswer(code);
  expect(limit.current()).toBe(5);
  pass(1);
  limit.noteAnswer(429);
  expect(limit.current()).toBe(2);
  pass(9);
  expect(limit.current()).toBe(5);
  pass(1);
  expect(limit.current()).toBe(10);
});

test("only tenants with late starts have a limit of their own, and they lower nobody else's", () => {
  const { limit } = open();
  limit.read(
    new Map([
      ["acme", load({ late: 100 })],
      ["beta", load({ starting: 4, slow: 4 })],
    ]),
  );
  expect(limit.slowed()).toEqual(new Map([["acme", 1]]));
  expect(limit.current()).toBe(10);
});
