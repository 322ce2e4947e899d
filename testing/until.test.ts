import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { Hopeless, until } from "./until.ts";

test("returns the first thing that is accepted", async () => {
  let looks = 0;
  expect(
    await until(
      "three looks",
      5,
      () => ++looks,
      (seen) => seen === 3,
    ),
  ).toBe(3);
  expect(looks).toBe(3);
});

test.each([undefined, null, false])("without `accept`, %s means: not yet", async (nothing) => {
  const answers = [nothing, "there"];
  expect(await until("an answer", 5, () => answers.shift())).toBe("there");
});

test("names the condition and the last thing seen when the deadline has passed", async () => {
  const wait = until(
    "the session runs",
    0.05,
    () => ({ state: "queued" }),
    ({ state }) => state === "running",
  );
  await expect(wait).rejects.toThrow("the session runs: not after 0.05 s. Last seen: { state: 'queued' }");
});

test("takes an error for a look that saw nothing, and reports the last one", async () => {
  const wait = until("an answer", 0.05, () => {
    throw new TypeError("connection refused");
  });
  await expect(wait).rejects.toThrow("an answer: not after 0.05 s. Last seen: TypeError: connection refused");
});

test("a look that hangs does not extend the deadline", async () => {
  const wait = until("an answer", 0.05, () => new Promise<string>(() => {}));
  await expect(wait).rejects.toThrow("not after 0.05 s. Last seen: no look has ended");
});

test("ends at once when the condition can never hold", async () => {
  const wait = until("the session runs", 60, () => {
    throw new Hopeless("the session has failed");
  });
  await expect(wait).rejects.toThrow("the session has failed");
});

let looks = 0;
let wait: Promise<unknown> | undefined;

test("(leaves a wait behind, for the test after it)", async () => {
  wait = until("what never comes", 60, () => void looks++).catch((error: Error) => error.message);
  await until("the first looks", 5, () => looks > 1);
});

test("stops when its test ends", async () => {
  expect(await wait).toBe("what never comes: the test has ended. Last seen: undefined");
  const before = looks;
  await sleep(300);
  expect(looks).toBe(before);
});

let cleanedUp = false;

test("(waits in its clean-up)", () => {
  onTestFinished(async () => {
    cleanedUp = await until("the end of the clean-up", 5, () => true);
  });
});

test("a wait in the clean-up of a test goes on behind the test's end", () => {
  expect(cleanedUp).toBe(true);
});

let neighbourEnded = false;

test.concurrent("a wait in a concurrent test goes on when its neighbour ends", async () => {
  await until("the neighbour has ended", 20, () => neighbourEnded);
  let looks = 0;
  await until("a few looks more", 20, () => ++looks === 3);
});

test.concurrent("(the neighbour, which ends at once)", async () => {
  neighbourEnded = true;
});

afterAll(async () => {
  expect(await until("a wait in a hook", 5, () => true)).toBe(true);
});
