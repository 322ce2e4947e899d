import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { criticalPath, pathLine, runGraph, startable, type Task, type Tasks } from "./graph.ts";
import { stopSignal, UserError } from "./steps.ts";

let lines: string[];
beforeEach(() => {
  lines = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
});
afterEach(() => vi.restoreAllMocks());

const task = (needs: string[] = [], more: Partial<Task> = {}): Task => ({
  title: "a task",
  needs,
  run: async () => {},
  ...more,
});
const computes = (needs: string[] = []) => task(needs, { computes: true });

test("what needs nothing begins, and of what computes only as much as there are processors", () => {
  const tasks = { one: computes(), two: computes(), three: computes(), network: task(), later: task(["one"]) };
  expect(startable(tasks, new Set(), new Set())).toEqual(["one", "two", "network"]);
  expect(startable(tasks, new Set(["one", "two", "network"]), new Set(["network"]))).toEqual([]);
  expect(startable(tasks, new Set(["one", "two", "network"]), new Set(["one"]))).toEqual(["three", "later"]);
});

test("the critical path goes by what was needed last, or by the processor that was waited for", () => {
  const tasks = { fetch: task(), a: computes(), b: computes(), c: computes(["fetch"]), last: task(["c", "fetch"]) };
  const times = new Map([
    ["fetch", { begin: 0, end: 1000 }],
    ["a", { begin: 0, end: 5000 }],
    ["b", { begin: 0, end: 9000 }],
    ["c", { begin: 5001, end: 8000 }],
    ["last", { begin: 8001, end: 10_000 }],
  ]);
  expect(criticalPath(tasks, times)).toEqual(["a", "c", "last"]);
  expect(pathLine({ ...tasks, last: task(["c"], { title: "Stack dev" }) }, times)).toMatch(/→ Stack dev 2 s$/);
});

test("a task begins when all that it needs is done, and one with nothing to do says nothing", async () => {
  const order: string[] = [];
  const quick = Promise.withResolvers<void>();
  const note = (name: string, needs: string[], more: Partial<Task> = {}) =>
    task(needs, { title: name, run: async () => void order.push(name), ...more });
  const times = await runGraph({
    last: note("last", ["slow", "idle"]),
    idle: note("idle", [], { idle: () => true }),
    slow: task([], { title: "slow", run: () => quick.promise.then(() => void order.push("slow")) }),
    quick: task([], {
      title: "quick",
      run: async () => {
        order.push("quick");
        quick.resolve();
      },
    }),
  });
  expect(order).toEqual(["quick", "slow", "last"]);
  expect([...times.keys()]).toEqual(["quick", "slow", "last"]);
  expect(lines.map((line) => line.replace(/ \(.*/, ""))).toEqual([
    "· slow",
    "· quick",
    "✓ quick",
    "✓ slow",
    "· last",
    "✓ last",
  ]);
});

test("a failure ends the processes of the others at once, and is the error that is reported", async () => {
  let child: Promise<unknown> | undefined;
  const tasks: Tasks = {
    compiles: task([], {
      title: "compiles",
      run: async () => {
        const sleeping = execa("sleep", ["60"], { cancelSignal: stopSignal() });
        child = sleeping.catch((error: unknown) => error);
        await sleeping;
      },
    }),
    fails: task([], {
      title: "fails",
      // This task begins after the other task, so the other task's process exists already.
      run: () => Promise.reject(new UserError("the true reason")),
    }),
    never: task(["compiles"], { title: "never" }),
  };
  await expect(runGraph(tasks)).rejects.toThrow("the true reason");
  // The process was killed. Without that, the process would end by itself after 60 s, and without an error.
  expect(await child).toMatchObject({ isCanceled: true, signal: "SIGTERM" });
  expect(lines.map((line) => line.replace(/ \(.*/, ""))).toEqual([
    "· compiles",
    "· fails",
    "✗ fails",
    "– compiles: stopped",
  ]);
});

test("a task that needs what is no task is a mistake in the program", async () => {
  await expect(runGraph({ a: task(["nothing"]) })).rejects.toThrow(/these tasks need: a$/);
});

test("no step is silent for more than thirty seconds", async () => {
  vi.useFakeTimers();
  try {
    const whole = runGraph({
      long: task([], { title: "long", run: () => new Promise((done) => setTimeout(done, 61_000)) }),
    });
    await vi.advanceTimersByTimeAsync(61_000);
    await whole;
  } finally {
    vi.useRealTimers();
  }
  expect(lines.map((line) => line.replace(/ \(.*/, ""))).toEqual(["· long", "  … long", "  … long", "✓ long"]);
});
