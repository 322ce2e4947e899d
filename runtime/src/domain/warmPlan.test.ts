import fc from "fast-check";
import { expect, test } from "vitest";
import { adjust, type Pool } from "./warmPlan.ts";

const spare = (id: string, templateHash = "now") => ({ id, templateHash });
const pool = (changes: Partial<Pool> = {}): Pool => ({
  size: 2,
  templateHash: "now",
  spares: [],
  lately: 0,
  isAwaited: false,
  ...changes,
});

test("missing warm sessions are created; those beyond the size or with old settings are removed", () => {
  expect(adjust(pool())).toEqual({ make: 2, end: [] });
  expect(adjust(pool({ spares: [spare("a")] }))).toEqual({ make: 1, end: [] });
  expect(adjust(pool({ spares: [spare("a"), spare("b"), spare("c")] }))).toEqual({ make: 0, end: [spare("c")] });
  expect(adjust(pool({ spares: [spare("a", "old"), spare("b")] }))).toEqual({ make: 1, end: [spare("a", "old")] });
  expect(adjust(pool({ size: 0, spares: [spare("a")] }))).toEqual({ make: 0, end: [spare("a")] });
});

test("while the tenant's own sessions wait, no warm session is created, and one at a time is given up", () => {
  expect(adjust(pool({ isAwaited: true }))).toEqual({ make: 0, end: [] });
  expect(adjust(pool({ isAwaited: true, spares: [spare("a"), spare("b")] }))).toEqual({ make: 0, end: [spare("b")] });
  expect(adjust(pool({ isAwaited: true, spares: [spare("a")] }))).toEqual({ make: 0, end: [spare("a")] });
});

test("if warm sessions keep failing, at most the pool's size is created per minute", () => {
  expect(adjust(pool({ lately: 1 }))).toEqual({ make: 1, end: [] });
  expect(adjust(pool({ lately: 5 }))).toEqual({ make: 0, end: [] });
});

test("from any start the pool reaches its size and keeps it", () => {
  const some = fc.array(fc.record({ id: fc.uuid(), templateHash: fc.constantFrom("now", "old") }), { maxLength: 8 });
  fc.assert(
    fc.property(fc.nat(5), some, (size, spares) => {
      const { make, end } = adjust(pool({ size, spares }));
      const kept = spares.filter((one) => !end.includes(one));
      const next = [...kept, ...Array.from({ length: make }, (_, index) => spare(`new-${index}`))];
      expect(next).toHaveLength(size);
      expect(next.every(({ templateHash }) => templateHash === "now")).toBe(true);
      expect(adjust(pool({ size, spares: next }))).toEqual({ make: 0, end: [] });
    }),
  );
});
