import { expect, test } from "vitest";
import { gathered } from "./gathered.ts";

test("what is asked for at about the same time is one call, each item once, and the rest is the next call", async () => {
  const calls: string[][] = [];
  let finish = () => {};
  const note = gathered<string>((items) => {
    calls.push(items);
    return new Promise((resolve) => (finish = resolve));
  }, 1);
  const first = [note("a"), note("b"), note("a")];
  await expect.poll(() => calls.length).toBe(1);
  const second = [note("c"), note("a")];
  finish();
  await Promise.all(first);
  await expect.poll(() => calls.length).toBe(2);
  finish();
  await Promise.all(second);
  expect(calls).toEqual([
    ["a", "b"],
    ["c", "a"],
  ]);
});

test("an error is told to all who asked, and the next call is made all the same", async () => {
  let isAway = true;
  const note = gathered<string>(async () => {
    if (isAway) throw new Error("away");
  }, 1);
  const asked = await Promise.allSettled([note("a"), note("b")]);
  expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isAway = false;
  await note("a");
});
