import { expect, test } from "vitest";
import { type Horizon, horizonAfter, type Snapshot } from "./eventHorizon.ts";

const start: Horizon = { settled: 0n };
const snapshot = (newest: number, ...writers: string[]): Snapshot => ({ newest: BigInt(newest), writers });

test("without writers, everything that is visible is settled", () => {
  expect(horizonAfter(start, snapshot(7))).toEqual({ settled: 7n });
  expect(horizonAfter({ settled: 7n }, snapshot(7))).toEqual({ settled: 7n });
});

test("with writers, the newest event is settled once these writers have ended, even if others write then", () => {
  const waiting = horizonAfter(start, snapshot(7, "a", "b"));
  expect(waiting.settled).toBe(0n);
  const half = horizonAfter(waiting, snapshot(9, "b", "c"));
  expect(half.settled).toBe(0n);
  const done = horizonAfter(half, snapshot(11, "c", "d"));
  expect(done.settled).toBe(7n);
  expect(horizonAfter(done, snapshot(11, "d")).settled).toBe(7n);
  expect(horizonAfter(done, snapshot(12)).settled).toBe(12n);
});

test("a writer without a newer event keeps nobody waiting", () => {
  expect(horizonAfter({ settled: 7n }, snapshot(7, "a"))).toEqual({ settled: 7n });
});

test("if the newest events have disappeared, the horizon begins again", () => {
  expect(horizonAfter({ settled: 7n }, snapshot(3))).toEqual({ settled: 3n });
  const waiting = horizonAfter({ settled: 7n }, snapshot(3, "a"));
  expect(waiting.settled).toBe(0n);
  expect(horizonAfter(waiting, snapshot(4)).settled).toBe(4n);
});

/**
 * All orders in which three writers begin, take an id, and commit or fail, with a snapshot between any two steps. Each step
 * of the model is atomic, as it is in Postgres.
 */
test("whatever the order of begins, ids and ends: a reader that stops at the horizon sees each event once", () => {
  const writers = ["a", "b", "c"];
  const ends = { a: "commit", b: "fail", c: "commit" } as Record<string, string>;
  let orders = 0;
  const play = (steps: readonly string[], left: Record<string, number>) => {
    const open = writers.filter((writer) => (left[writer] ?? 0) > 0);
    if (open.length > 0) {
      for (const writer of open) play([...steps, writer], { ...left, [writer]: (left[writer] ?? 0) - 1 });
      return;
    }
    orders += 1;
    const stepOf: Record<string, number> = {};
    const ids: Record<string, number> = {};
    const running = new Set<string>();
    const visible: number[] = [];
    const read: number[] = [];
    let horizon = start;
    let next = 1;
    let position = 0n;
    const nextRead = () => {
      horizon = horizonAfter(horizon, snapshot(Math.max(0, ...visible), ...running));
      const found = visible.filter((id) => BigInt(id) > position && BigInt(id) <= horizon.settled);
      read.push(...found.sort((a, b) => a - b));
      if (horizon.settled > position) position = horizon.settled;
    };
    for (const writer of steps) {
      const step = stepOf[writer] ?? 0;
      stepOf[writer] = step + 1;
      if (step === 0) running.add(writer);
      else if (step === 1) ids[writer] = next++;
      else {
        if (ends[writer] === "commit") visible.push(ids[writer] ?? 0);
        running.delete(writer);
      }
      nextRead();
    }
    nextRead();
    expect(read, steps.join(" ")).toEqual([...visible].sort((a, b) => a - b));
  };
  play([], { a: 3, b: 3, c: 3 });
  expect(orders).toBe(1680);
});
