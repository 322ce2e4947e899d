import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { Sweep } from "./sweep.ts";

const since = new Date("2026-01-01T12:00:00Z");

/** A sweep of one namespace, which has only a pod without a row. */
function open() {
  const calls: string[] = [];
  const removed: string[] = [];
  const state = { leads: true, asked: 0, now: 0 };
  const sweep = new Sweep({
    isLeader: () => ++state.asked > 0 && state.leads,
    namespaces: () => ["tenant-acme"],
    pods: async () => {
      calls.push("pods");
      return new Map([["nobody", { view: { is: "ready", ip: "10.0.0.1" }, since }]]);
    },
    others: async () => {
      calls.push("others");
      return new Map([["nobody", { volumeClaim: true, secret: true, since }]]);
    },
    rows: async () => [],
    rowsSince: async () => since,
    trigger: async () => {},
    removeOrphan: async ({ id }) => void removed.push(id),
    logger: silent,
    intervalMs: 1,
    orphanGraceMs: 300_000,
    clock: () => state.now,
  });
  sweep.onApplicationBootstrap();
  onTestFinished(() => sweep.onApplicationShutdown());
  /** Waits until `count` complete sweeps have begun, counted from the test's begin. */
  const complete = (count: number) =>
    until(`${count} complete sweeps`, 20, () => calls.filter((call) => call === "others").length >= count);
  return { sweep, calls, removed, state, complete };
}

test("the second sweep of a leader and then every fourth one lists all kinds of objects; the others know the pods anyway", async () => {
  const { calls, complete } = open();
  await complete(2);
  expect(calls.slice(0, 8)).toEqual(["pods", "pods", "others", "pods", "pods", "pods", "pods", "others"]);
});

test("objects without a row are reported, and deleted after the grace period of the leader that has found them", async () => {
  const { sweep, removed, state, complete } = open();
  await until("the objects are found", 20, () => sweep.findings());
  expect(sweep.findings()).toEqual({ pod: 1, claim: 1, row: 0 });
  state.now = 299_999;
  await complete(4);
  expect(removed).toEqual([]);
  state.leads = false;
  state.asked = 0;
  await until("the process has noticed that it does not lead", 20, () => state.asked > 3);
  state.now = 300_000;
  state.leads = true;
  await until("the objects are found again", 20, () => sweep.findings());
  expect(removed).toEqual([]);
  state.now = 600_000;
  await until("the objects are removed", 20, () => removed.includes("nobody"));
});
