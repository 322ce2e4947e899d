import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { type OwnStarts, ownLimit, type Starts, startLimit } from "./startLimits.ts";

const starts = (changes: Partial<Starts> = {}): Starts => ({
  configured: 10,
  perNode: 3,
  nodes: 40,
  ready: 0,
  overloaded: 0,
  ...changes,
});

const anyStarts: fc.Arbitrary<Starts> = fc.record({
  configured: fc.integer({ min: 1, max: 100 }),
  perNode: fc.nat(10),
  nodes: fc.nat(1_000),
  ready: fc.nat(10_000),
  overloaded: fc.nat(10),
});
const anyOwn: fc.Arbitrary<OwnStarts> = fc.record({ late: fc.nat(500), ready: fc.nat(500) });
const anyLimit = fc.integer({ min: 1, max: 1_000 });

test("the limit begins at the configured number, and each start that succeeds raises it by 1, up to the number per node", () => {
  expect(startLimit(starts())).toBe(10);
  expect(startLimit(starts({ ready: 7 }))).toBe(17);
  expect(startLimit(starts({ ready: 5_000 }))).toBe(120);
});

test("the limit does not rise if the number of nodes is unknown or no number per node is set", () => {
  expect(startLimit(starts({ ready: 50, nodes: 0 }))).toBe(10);
  expect(startLimit(starts({ ready: 50, perNode: 0 }))).toBe(10);
});

test("each second of overload halves the limit", () => {
  const limits = [0, 1, 2, 3, 4, 10].map((overloaded) => startLimit(starts({ ready: 30, overloaded })));
  expect(limits).toEqual([40, 20, 10, 5, 2, 1]);
});

test("whatever happens, the limit is between 1 and the bound, and only an overload brings it below the configured number", () => {
  fc.assert(
    fc.property(anyStarts, (some) => {
      const limit = startLimit(some);
      expect(Number.isInteger(limit)).toBe(true);
      expect(limit).toBeGreaterThanOrEqual(some.overloaded === 0 ? some.configured : 1);
      expect(limit).toBeLessThanOrEqual(Math.max(some.configured, some.perNode * some.nodes));
      expect(startLimit({ ...some, ready: some.ready + 1 })).toBeGreaterThanOrEqual(limit);
      expect(startLimit({ ...some, nodes: some.nodes + 1 })).toBeGreaterThanOrEqual(limit);
      expect(startLimit({ ...some, overloaded: some.overloaded + 1 })).toBeLessThanOrEqual(limit);
    }),
  );
});

/**
 * Simulates seconds of a cluster with a long queue that makes `rate` sessions per second ready, and none in less than `seconds`.
 * Returns the number of starts at the same time, for each second.
 */
function simulate(limits: Omit<Starts, "ready" | "overloaded">, rate: number, seconds: number, total = 300): number[] {
  const begun: number[] = []; // the second in which each session that is starting has begun
  const ready: number[] = []; // how many became ready in each second
  return Array.from({ length: total }, (_, now) => {
    const done = Math.min(rate, begun.filter((at) => now - at >= seconds).length);
    begun.splice(0, done);
    ready.push(done);
    const counted = ready.slice(-10).reduce((sum, count) => sum + count, 0);
    const limit = startLimit({ ...limits, ready: counted, overloaded: 0 });
    while (begun.length < limit) begun.push(now);
    return begun.length;
  });
}

test("while starts are quick, the limit reaches the bound in a few rounds", () => {
  const limits = { configured: 10, perNode: 3, nodes: 100 };
  const atOnce = simulate(limits, 1_000, 2, 30);
  expect(atOnce.slice(0, 11)).toContain(300);
});

test("the number of simultaneous starts follows what the cluster makes ready: in the end, a start takes little more than 10 s", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 9 }), (rate, seconds) => {
      const [last = 0] = simulate({ configured: 10, perNode: 3, nodes: 1_000 }, rate, seconds).slice(-1);
      expect(last).toBeLessThanOrEqual(10 + 10 * rate);
      // The limit is high enough for the cluster's whole rate.
      expect(last).toBeGreaterThanOrEqual(Math.min(rate * seconds, 10));
    }),
  );
});

test("a tenant whose starts hang gets one start at a time, and one whose starts succeed is not slowed", () => {
  expect(ownLimit(10, { late: 0, ready: 0 })).toBe(10);
  expect(ownLimit(10, { late: 1, ready: 0 })).toBe(5);
  expect(ownLimit(10, { late: 10, ready: 0 })).toBe(1);
  expect(ownLimit(10, { late: 3, ready: 20 })).toBe(10);
});

test("a tenant's own limit is between 1 and the limit, falls with late starts and rises with those that succeed", () => {
  fc.assert(
    fc.property(anyLimit, anyOwn, (limit, own) => {
      const found = ownLimit(limit, own);
      expect(Number.isInteger(found)).toBe(true);
      expect(found).toBeGreaterThanOrEqual(1);
      expect(found).toBeLessThanOrEqual(limit);
      expect(ownLimit(limit, { ...own, late: own.late + 1 })).toBeLessThanOrEqual(found);
      expect(ownLimit(limit, { ...own, ready: own.ready + 1 })).toBeGreaterThanOrEqual(found);
    }),
  );
});
