import { expect, test } from "vitest";
import { type Ending, firstPace, ownSlots, type Pace, paceAfter, slotsOf } from "./receiverPace.ts";

const quick: Ending = { isGood: true, tookMs: 20 };
const slow: Ending = { isGood: true, tookMs: 3_000 };
const failed: Ending = { isGood: false, tookMs: 20 };

const after = (endings: Ending[], pace: Pace = firstPace, now = 0): Pace =>
  endings.reduce((last, ending) => paceAfter(last, ending, now), pace);
const times = (count: number, ending: Ending): Ending[] => Array(count).fill(ending);

test("a receiver gets more with each quick answer, up to 128; a slow one gets at most 25", () => {
  expect(firstPace.most).toBe(4);
  expect(after(times(4, quick)).most).toBe(8);
  expect(after(times(300, quick)).most).toBe(128);
  expect(after(times(300, slow)).most).toBe(25);
  expect(after([...times(300, quick), slow]).most).toBe(127);
  expect(after([...times(300, quick), ...times(300, slow)]).most).toBe(25);
});

test("a failure halves the number, down to four; until a good answer there is one delivery at a time", () => {
  const pace = after([...times(300, quick), failed]);
  expect([pace.most, slotsOf(pace, 1, 1, 0)]).toEqual([64, 1]);
  expect(slotsOf(after([quick], pace), 1, 1, 0)).toBe(65);
  expect(after(times(9, failed), pace).most).toBe(4);
});

test("three failures in a row cause a pause of half a minute, and the delivery after the pause decides", () => {
  expect(slotsOf(after([failed, failed, quick, failed, failed]), 1, 1, 0)).toBe(1);
  const dead = after(times(3, failed), firstPace, 1_000);
  expect([30_999, 31_000].map((now) => slotsOf(dead, 1, 1, now))).toEqual([0, 1]);
  expect(slotsOf(after([failed], dead, 31_000), 1, 1, 60_999)).toBe(0);
  expect(slotsOf(after([quick], dead, 31_000), 1, 1, 31_000)).toBe(5);
});

test("tenants share the slots in equal parts, and so do a tenant's receivers; each receiver keeps its own slots", () => {
  const pace = after(times(300, quick));
  const slots = (tenants: number, receivers: number) => slotsOf(pace, tenants, receivers, 0);
  expect([slots(0, 0), slots(2, 1), slots(4, 1), slots(4, 2)]).toEqual([128, 128, 64, 32]);
  expect([slots(10_000, 1), slots(1, 10_000)]).toEqual([ownSlots, ownSlots]);
});
