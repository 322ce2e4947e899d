import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { adjust, type Pool, paced, type Want } from "./warmPlan.ts";

const warm = (id: string, templateHash = "now", isSilent = false) => ({ id, templateHash, isSilent });
const pool = (changes: Partial<Pool> = {}): Pool => ({
  size: 2,
  templateHash: "now",
  warmSessions: [],
  isAwaited: false,
  isEnding: false,
  ...changes,
});

test("missing warm sessions are created; those beyond the size or with old settings are removed", () => {
  expect(adjust(pool())).toEqual({ missing: 2, end: [] });
  expect(adjust(pool({ warmSessions: [warm("a")] }))).toEqual({ missing: 1, end: [] });
  expect(adjust(pool({ warmSessions: [warm("a"), warm("b"), warm("c")] }))).toEqual({ missing: 0, end: [warm("c")] });
  expect(adjust(pool({ warmSessions: [warm("a", "old"), warm("b")] }))).toEqual({
    missing: 1,
    end: [warm("a", "old")],
  });
  expect(adjust(pool({ size: 0, warmSessions: [warm("a")] }))).toEqual({ missing: 0, end: [warm("a")] });
  const silent = warm("a", "now", true);
  expect(adjust(pool({ warmSessions: [silent, warm("b")] }))).toEqual({ missing: 1, end: [silent] });
});

test("while the tenant's own sessions wait, no warm session is created, and one at a time is given up", () => {
  expect(adjust(pool({ isAwaited: true }))).toEqual({ missing: 0, end: [] });
  expect(adjust(pool({ isAwaited: true, warmSessions: [warm("a"), warm("b")] }))).toEqual({
    missing: 0,
    end: [warm("b")],
  });
  expect(adjust(pool({ isAwaited: true, warmSessions: [warm("a")] }))).toEqual({ missing: 0, end: [warm("a")] });
});

test("no second warm session is given up while one is ending", () => {
  const warmSessions = [warm("a"), warm("b")];
  expect(adjust(pool({ isAwaited: true, isEnding: true, warmSessions }))).toEqual({ missing: 0, end: [] });
});

const want = (changes: Partial<Want> = {}): Want => ({ tenant: "acme", missing: 0, pending: 0, failed: 0, ...changes });

test("as many warm sessions are created as twice the start slots, less those that are pending", () => {
  expect(paced([want({ missing: 300 })], 10)).toEqual([20]);
  expect(paced([want({ missing: 300, pending: 15 })], 10)).toEqual([5]);
  expect(paced([want({ missing: 3, pending: 2 })], 10)).toEqual([3]);
  expect(paced([want({ missing: 300, pending: 25 })], 10)).toEqual([0]);
});

test("tenants share the starts, and one that uses all does not keep another's pool empty", () => {
  const beta = want({ tenant: "beta", missing: 300 });
  expect(paced([want({ missing: 300 }), beta], 10)).toEqual([10, 10]);
  expect(paced([want({ missing: 300, pending: 20 }), beta], 10)).toEqual([0, 10]);
  expect(paced([want({ missing: 4 }), beta], 10)).toEqual([4, 16]);
  expect(paced([want(), beta], 10)).toEqual([0, 20]);
});

test("each failure of the last minute halves a pool's starts, and changes nothing for other pools", () => {
  const failing = (failed: number, pending = 0) => want({ missing: 300, pending, failed });
  expect([0, 1, 2, 3, 4, 5, 60, 5_000].map((failed) => paced([failing(failed)], 10)[0])).toEqual([
    20, 10, 5, 2, 1, 0, 0, 0,
  ]);
  expect(paced([failing(1, 8)], 10)).toEqual([2]);
  expect(paced([failing(60), want({ missing: 300 })], 10)).toEqual([0, 20]);
});

test("whatever the pools lack, no tenant gets more than it lacks, and all together little more than the limit", () => {
  const wants = fc.array(
    fc.record({
      tenant: fc.constantFrom("acme", "beta", "gamma"),
      missing: fc.nat(50),
      pending: fc.constant(0),
      failed: fc.nat(6),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(wants, fc.integer({ min: 1, max: 20 }), (some, maxStarting) => {
      const makes = paced(some, maxStarting);
      expect(makes.every((make, index) => make >= 0 && make <= (some[index]?.missing ?? 0))).toBe(true);
      expect(makes.reduce((sum, make) => sum + make, 0)).toBeLessThanOrEqual(2 * maxStarting + 3);
    }),
  );
});

test("from any start the pool reaches its size and keeps it", () => {
  const one = fc.record({ id: fc.uuid(), templateHash: fc.constantFrom("now", "old"), isSilent: fc.boolean() });
  const some = fc.array(one, { maxLength: 8 });
  fc.assert(
    fc.property(fc.nat(5), some, (size, warmSessions) => {
      const { missing, end } = adjust(pool({ size, warmSessions }));
      const kept = warmSessions.filter((one) => !end.includes(one));
      const next = [...kept, ...Array.from({ length: missing }, (_, index) => warm(`new-${index}`))];
      expect(next).toHaveLength(size);
      expect(next.every(({ templateHash }) => templateHash === "now")).toBe(true);
      expect(adjust(pool({ size, warmSessions: next }))).toEqual({ missing: 0, end: [] });
    }),
  );
});
