import { expect, test } from "vitest";
import { Receivers } from "./receivers.ts";

const url = "https://hooks.example/a";
const acme = { tenant: "acme", url };
const beta = { tenant: "beta", url };
const good = { isGood: true, tookMs: 20 };
const failed = { isGood: false, tookMs: 20 };

function open() {
  let now = 0;
  const receivers = new Receivers(() => now);
  return {
    receivers,
    pass: (seconds: number) => (now += seconds * 1_000),
    attempt: (ending: typeof good | undefined, receiver = acme) => {
      receivers.begin(receiver);
      receivers.end(receiver, ending);
    },
    room: ({ tenant } = acme) => receivers.rooms().find((one) => one.tenant === tenant)?.room,
  };
}

test("a receiver gets four deliveries at the same time before it has answered", () => {
  const { receivers, room } = open();
  for (let running = 1; running <= 5; running += 1) {
    receivers.begin(acme);
    expect(room()).toBe(Math.max(0, 4 - running));
  }
});

test("a receiver whose deliveries all fail at the same time counts as dead after this first round", () => {
  const { receivers, room } = open();
  for (let running = 0; running < 4; running += 1) receivers.begin(acme);
  for (let running = 0; running < 4; running += 1) receivers.end(acme, failed);
  expect([room(), receivers.paused()]).toMatchObject([0, [acme]]);
});

test("a tenant's failures do not count for another tenant with the same URL", () => {
  const { receivers, attempt, room } = open();
  for (let count = 0; count < 3; count += 1) attempt(failed);
  attempt(good, beta);
  expect([room(acme), room(beta), receivers.paused()]).toMatchObject([0, 5, [acme]]);
});

test("a tenant that begins to send gets its part of the slots from one that used more", () => {
  const { receivers, attempt, room } = open();
  for (let count = 0; count < 200; count += 1) attempt(good);
  for (let running = 0; running < 100; running += 1) receivers.begin(acme);
  expect(room()).toBe(28);
  for (const tenant of ["beta", "gamma", "delta"]) receivers.begin({ tenant, url });
  expect([room(), room(beta)]).toEqual([0, 3]);
  for (let ended = 0; ended < 40; ended += 1) receivers.end(acme, good);
  expect(room()).toBe(4);
});

test("receivers of a tenant that begin at the same moment share the slots of the process", () => {
  const { receivers, attempt } = open();
  const all = Array.from({ length: 50 }, (_, index) => ({ tenant: "acme", url: `${url}/${index}` }));
  for (const receiver of all) for (let count = 0; count < 200; count += 1) attempt(good, receiver);
  let running = 0;
  for (let round = 0; round < 5; round += 1) {
    for (const { room, ...receiver } of receivers.rooms()) {
      for (let begun = 0; begun < room; begun += 1) receivers.begin(receiver);
      running += room;
    }
  }
  expect(running).toBe(250);
});

test("a receiver that works is forgotten after a quiet minute, and one that failed is not", () => {
  const { attempt, room, pass } = open();
  attempt(good, acme);
  attempt(failed, beta);
  pass(61);
  expect([room(acme), room(beta)]).toEqual([undefined, 1]);
});

test("a delivery that was never sent changes nothing", () => {
  const { receivers, attempt, room } = open();
  for (const ending of [failed, failed, undefined]) attempt(ending);
  expect([room(), receivers.paused()]).toEqual([1, []]);
});
