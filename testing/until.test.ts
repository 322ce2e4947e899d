import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { Hopeless, until } from "./until.ts";

test("returns the first accepted result", async () => {
  let calls = 0;
  expect(
    await until(
      "three calls",
      5,
      () => ++calls,
      (seen) => seen === 3,
    ),
  ).toBe(3);
  expect(calls).toBe(3);
});

test.each([undefined, null, false])("without `accept`, the result %s does not end the wait", async (nothing) => {
  const answers = [nothing, "there"];
  expect(await until("an answer", 5, () => answers.shift())).toBe("there");
});

test("after the deadline, the error names the condition and the last result", async () => {
  const wait = until(
    "the session runs",
    0.05,
    () => ({ state: "queued" }),
    ({ state }) => state === "running",
  );
  await expect(wait).rejects.toThrow("the session runs: not after 0.2 s. Last seen: { state: 'queued' }");
});

test("an error of `attempt` does not end the wait, and the error after the deadline has the last one", async () => {
  const wait = until("an answer", 0.05, () => {
    throw new TypeError("connection refused");
  });
  await expect(wait).rejects.toThrow("an answer: not after 0.2 s. Last seen: TypeError: connection refused");
});

test("a call of `attempt` that hangs does not extend the deadline", async () => {
  const wait = until("an answer", 0.05, () => new Promise<string>(() => {}));
  await expect(wait).rejects.toThrow("not after 0.2 s. Last seen: no call of `attempt` has ended");
});

test("the wait ends at once when the condition can never hold", async () => {
  const wait = until("the session runs", 60, () => {
    throw new Hopeless("the session has failed");
  });
  await expect(wait).rejects.toThrow("the session has failed");
});

let calls = 0;
let wait: Promise<unknown> | undefined;

test("(ends while a wait runs, which the next test checks)", async () => {
  wait = until("what never comes", 60, () => void calls++).catch((error: Error) => error.message);
  await until("the first calls", 5, () => calls > 1);
});

test("a wait ends when its test ends", async () => {
  expect(await wait).toBe("what never comes: the test has ended. Last seen: undefined");
  const before = calls;
  await sleep(300);
  expect(calls).toBe(before);
});

let cleanedUp = false;

test("(waits in its clean-up, which the next test checks)", () => {
  onTestFinished(async () => {
    cleanedUp = await until("the end of the clean-up", 5, () => true);
  });
});

test("a wait in the clean-up of a test continues after the test has ended", () => {
  expect(cleanedUp).toBe(true);
});

let neighbourEnded = false;

test.concurrent("a wait in a concurrent test continues when another concurrent test ends", async () => {
  await until("the other test has ended", 20, () => neighbourEnded);
  let calls = 0;
  await until("a few more calls", 20, () => ++calls === 3);
});

test.concurrent("(the other concurrent test, which ends at once)", async () => {
  neighbourEnded = true;
});

afterAll(async () => {
  expect(await until("a wait in a hook", 5, () => true)).toBe(true);
});
