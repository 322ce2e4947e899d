import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { gathered } from "./gathered.ts";

test("items that arrive at about the same time become one call, whose result all callers get, and later items the next call", async () => {
  const calls: string[][] = [];
  let finish = () => {};
  const note = gathered((items: string[]) => {
    calls.push(items);
    return new Promise<string>((resolve) => (finish = () => resolve(items.join())));
  }, 1);
  const first = [note("a"), note("b"), note("a")];
  await until("the first call", 30, () => calls.length === 1);
  const second = [note("c"), note("a")];
  finish();
  expect(await Promise.all(first)).toEqual(["a,b,a", "a,b,a", "a,b,a"]);
  await until("the second call", 30, () => calls.length === 2);
  finish();
  await Promise.all(second);
  expect(calls).toEqual([
    ["a", "b", "a"],
    ["c", "a"],
  ]);
});

test("all callers get the error of a call, and the next call is made all the same", async () => {
  let isAway = true;
  const note = gathered(async (_items: string[]) => {
    if (isAway) throw new Error("away");
  }, 1);
  const asked = await Promise.allSettled([note("a"), note("b")]);
  expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isAway = false;
  await note("a");
});
