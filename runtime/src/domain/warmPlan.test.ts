import fc from "fast-check";
import { expect, test } from "vitest";
import { adjust, type Pool } from "./warmPlan.ts";

const spare = (id: string, mark = "now") => ({ id, mark });
const pool = (changes: Partial<Pool> = {}): Pool => ({
  size: 2,
  mark: "now",
  spares: [],
  lately: 0,
  isAwaited: false,
  ...changes,
});

test("what is missing is made, what is above the size or made from something else goes", () => {
  expect(adjust(pool())).toEqual({ make: 2, end: [] });
  expect(adjust(pool({ spares: [spare("a")] }))).toEqual({ make: 1, end: [] });
  expect(adjust(pool({ spares: [spare("a"), spare("b"), spare("c")] }))).toEqual({ make: 0, end: [spare("c")] });
  expect(adjust(pool({ spares: [spare("a", "old"), spare("b")] }))).toEqual({ make: 1, end: [spare("a", "old")] });
  expect(adjust(pool({ size: 0, spares: [spare("a")] }))).toEqual({ make: 0, end: [spare("a")] });
});

test("while the tenant's own sessions wait none is made, and one gives way at a time", () => {
  expect(adjust(pool({ isAwaited: true }))).toEqual({ make: 0, end: [] });
  expect(adjust(pool({ isAwaited: true, spares: [spare("a"), spare("b")] }))).toEqual({ make: 0, end: [spare("b")] });
  expect(adjust(pool({ isAwaited: true, spares: [spare("a")] }))).toEqual({ make: 0, end: [spare("a")] });
});

test("sessions that don't live are not made without end: at most the pool's size in a minute", () => {
  expect(adjust(pool({ lately: 1 }))).toEqual({ make: 1, end: [] });
  expect(adjust(pool({ lately: 5 }))).toEqual({ make: 0, end: [] });
});

test("whatever there is, the pool comes to its size and stays there", () => {
  const some = fc.array(fc.record({ id: fc.uuid(), mark: fc.constantFrom("now", "old") }), { maxLength: 8 });
  fc.assert(
    fc.property(fc.nat(5), some, (size, spares) => {
      const { make, end } = adjust(pool({ size, spares }));
      const kept = spares.filter((one) => !end.includes(one));
      const next = [...kept, ...Array.from({ length: make }, (_, index) => spare(`new-${index}`))];
      expect(next).toHaveLength(size);
      expect(next.every(({ mark }) => mark === "now")).toBe(true);
      expect(adjust(pool({ size, spares: next }))).toEqual({ make: 0, end: [] });
    }),
  );
});
