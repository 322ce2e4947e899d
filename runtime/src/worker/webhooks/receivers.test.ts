import { expect, test } from "vitest";
import { Receivers } from "./receivers.ts";

const url = "https://hooks.example/a";

function open() {
  let now = 0;
  const receivers = new Receivers(() => now);
  return {
    receivers,
    pass: (seconds: number) => (now += seconds * 1_000),
    attempt: (isAlive?: boolean) => {
      receivers.begin(url);
      receivers.end(url, isAlive);
    },
    limit: () => receivers.limits().get(url),
  };
}

test("a receiver gets four deliveries at the same time before it has answered", () => {
  const { receivers, limit } = open();
  for (let running = 1; running <= 5; running += 1) {
    receivers.begin(url);
    expect(limit()).toBe(Math.max(0, 4 - running));
  }
});

test("a receiver that answers gets more, up to a quarter of all, and begins anew after a failure or a quiet minute", () => {
  const { receivers, attempt, limit, pass } = open();
  attempt(true);
  attempt(true);
  expect(limit()).toBe(6);
  for (let count = 0; count < 100; count += 1) attempt(true);
  expect(limit()).toBe(25);
  attempt(false);
  attempt(true);
  expect(limit()).toBe(5);
  pass(61);
  expect(receivers.limits()).toEqual(new Map());
});

test("a receiver that failed gets one delivery at a time, and after three failures in a row none for half a minute", () => {
  const { receivers, attempt, limit, pass } = open();
  attempt(false);
  expect(limit()).toBe(1);
  attempt(false);
  expect(receivers.paused()).toEqual([]);
  attempt(false);
  expect([limit(), receivers.paused()]).toEqual([0, [url]]);
  pass(29);
  expect([limit(), receivers.paused()]).toEqual([0, [url]]);
  pass(1);
  expect([limit(), receivers.paused()]).toEqual([1, []]);
});

test("a receiver whose deliveries all fail at the same time counts as dead after this first round", () => {
  const { receivers, limit } = open();
  for (let running = 0; running < receivers.usual; running += 1) receivers.begin(url);
  for (let running = 0; running < receivers.usual; running += 1) receivers.end(url, false);
  expect([limit(), receivers.paused()]).toEqual([0, [url]]);
});

test("the delivery after the pause decides: another pause, or normal deliveries", () => {
  const { receivers, attempt, limit, pass } = open();
  for (let count = 0; count < 3; count += 1) attempt(false);
  pass(30);
  receivers.begin(url);
  expect(limit()).toBe(0);
  receivers.end(url, false);
  expect([limit(), receivers.paused()]).toEqual([0, [url]]);
  pass(30);
  attempt(true);
  expect(limit()).toBe(5);
});

test("failures that are not in a row, and deliveries that were never sent, cause no pause", () => {
  const { receivers, attempt } = open();
  for (const isAlive of [false, false, true, false, undefined, false]) attempt(isAlive);
  expect(receivers.paused()).toEqual([]);
});
