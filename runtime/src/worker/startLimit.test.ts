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

function open(overloaded = 0) {
  let now = 0;
  const limit = new StartLimit({
    configured: 10,
    perNode: 3,
    nodes: () => 20,
    overloaded: async () => overloaded,
    clock: () => now,
  });
  return { limit, pass: (seconds: number) => (now += 1_000 * seconds) };
}

test("the starts of all tenants that succeeded raise the limit, until the reading is old", async () => {
  const { limit, pass } = open();
  expect(limit.current()).toBe(10);
  expect(
    await limit.read(
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

test("each second with an overload that a process has noticed halves the limit", async () => {
  const { limit } = open(2);
  expect(await limit.read(new Map())).toBe(2);
  expect(limit.current()).toBe(2);
});

test("only tenants with late starts have a limit of their own, and they lower nobody else's", async () => {
  const { limit } = open();
  await limit.read(
    new Map([
      ["acme", load({ late: 100 })],
      ["beta", load({ starting: 4, slow: 4 })],
    ]),
  );
  expect(limit.slowed()).toEqual(new Map([["acme", 1]]));
  expect(limit.current()).toBe(10);
});
