import { expect, test } from "vitest";
import { FloodError, ViewerPace } from "./viewerPace.ts";

/** A FramebufferUpdateRequest. */
function request(incremental: 0 | 1, x = 0, y = 0, width = 1280, height = 800): Buffer {
  const buffer = Buffer.from([3, incremental, 0, 0, 0, 0, 0, 0, 0, 0]);
  for (const [index, value] of [x, y, width, height].entries()) buffer.writeUInt16BE(value, 2 + 2 * index);
  return buffer;
}

/** How many requests get through in this many seconds, if a viewer sends one per millisecond. */
function passedIn(seconds: number, incremental: 0 | 1): number {
  const pace = new ViewerPace();
  let passed = 0;
  for (let now = 0; now < seconds * 1_000; now += 1) {
    if (pace.take(now)) passed += 1;
    if (pace.ask(request(incremental), now)) passed += 1;
  }
  return passed;
}

test("a viewer gets 60 pictures of changes per second, and 5 full pictures, however often it asks", () => {
  expect(passedIn(20, 1)).toBeLessThanOrEqual(120 + 20 * 60);
  expect(passedIn(20, 1)).toBeGreaterThanOrEqual(20 * 60);
  expect(passedIn(20, 0)).toBeLessThanOrEqual(10 + 20 * 5);
  expect(passedIn(20, 0)).toBeGreaterThanOrEqual(20 * 5);
});

test("a viewer that asks as often as a desktop draws never waits", () => {
  const pace = new ViewerPace();
  for (let now = 0; now < 60_000; now += 17) expect(pace.ask(request(1), now)).toBeDefined();
});

test("requests above the pace become one request for all their areas, which is sent when it is due", () => {
  const pace = new ViewerPace();
  for (let asked = 0; asked < 10; asked += 1) expect(pace.ask(request(0), 0)).toBeDefined();
  expect(pace.ask(request(1, 100, 50, 10, 10), 0)).toBeUndefined();
  expect(pace.ask(request(0, 20, 60, 30, 100), 0)).toBeUndefined();
  const due = pace.due(0);
  expect(due).toBe(200);
  expect(pace.take(199)).toBeUndefined();
  expect(pace.take(200)).toEqual(request(0, 20, 50, 90, 110));
  expect(pace.due(200)).toBeUndefined();
});

test("a viewer that sends thousands of messages at once is refused", () => {
  const pace = new ViewerPace();
  for (let sent = 0; sent < 2_000; sent += 1) pace.count(0);
  expect(() => pace.count(0)).toThrow(FloodError);
  pace.count(5);
});
