import { expect, test } from "vitest";
import type { PodView } from "../pods/podView.ts";
import { decide, type Observed } from "./decide.ts";
import type { State } from "./state.ts";

const none: Observed = { pod: { is: "absent" }, secret: "absent", claim: "absent", podObject: "absent" };
const seen = (pod: PodView): Observed => ({ pod, secret: "present", claim: "present", podObject: "present" });
const next = (state: State, observed: Observed, seconds = 1) =>
  decide(state, observed, seconds, { startTimeoutSeconds: 300 });

test("a queued session is made, whatever there is of it already", () => {
  expect(next("queued", none)).toEqual({ do: "create" });
  expect(next("queued", seen({ is: "ready", ip: "10.0.0.1" }))).toEqual({ do: "create" });
});

test("a starting session runs when its pod is ready, and says till then what it waits for", () => {
  expect(next("starting", seen({ is: "ready", ip: "10.0.0.1" }))).toEqual({
    do: "apply",
    event: { type: "ready", podIp: "10.0.0.1" },
  });
  expect(next("starting", seen({ is: "pending", reason: "Waiting for a node", blocked: false }))).toEqual({
    do: "apply",
    event: { type: "waiting", reason: "Waiting for a node" },
  });
});

test("a start has a deadline; it is shorter where no time heals", () => {
  const slow = seen({ is: "pending", reason: "Waiting for a node", blocked: false });
  const blocked = seen({ is: "pending", reason: "The image can't be pulled", blocked: true });
  expect(next("starting", slow, 299)).toMatchObject({ event: { type: "waiting" } });
  expect(next("starting", slow, 301)).toMatchObject({
    event: { type: "fail", reason: expect.stringContaining("300 s. Waiting for a node") },
  });
  expect(next("starting", blocked, 59)).toMatchObject({ event: { type: "waiting" } });
  expect(next("starting", blocked, 61)).toMatchObject({
    event: { type: "fail", reason: expect.stringContaining("can't be pulled") },
  });
});

test("a session whose pod vanished, broke or finished ends", () => {
  for (const state of ["starting", "running"] as const) {
    expect(next(state, { ...seen({ is: "absent" }), podObject: "absent" })).toMatchObject({
      event: { type: "fail", reason: expect.stringContaining("deleted") },
    });
    expect(next(state, seen({ is: "broken", reason: "out of memory" }))).toMatchObject({
      event: { type: "fail", reason: "out of memory" },
    });
    expect(next(state, seen({ is: "finished", reason: "The agent exited" }))).toMatchObject({
      event: { type: "stop" },
    });
  }
});

test("a running session is left alone, also while its pod is not ready for a moment", () => {
  expect(next("running", seen({ is: "ready", ip: "10.0.0.1" }))).toEqual({ do: "nothing" });
  expect(next("running", seen({ is: "pending", reason: "", blocked: false }))).toEqual({ do: "nothing" });
});

test("a stopping session deletes its owner once, waits for all to be gone, and only then has ended", () => {
  const present = seen({ is: "ready", ip: "10.0.0.1" });
  expect(next("stopping", present)).toEqual({ do: "remove" });
  expect(next("stopping", { ...present, secret: "deleting" })).toEqual({ do: "wait" });
  expect(next("stopping", { ...present, secret: "absent", podObject: "deleting" })).toEqual({ do: "remove" });
  expect(next("stopping", { ...none, claim: "deleting" })).toEqual({ do: "wait" });
  expect(next("stopping", none)).toEqual({ do: "apply", event: { type: "gone", keepSeconds: 0 } });
});

test("what a stuck worker made after the end is removed", () => {
  for (const state of ["stopped", "failed"] as const) {
    expect(next(state, seen({ is: "ready", ip: "10.0.0.1" }))).toEqual({ do: "remove" });
    expect(next(state, none)).toEqual({ do: "nothing" });
  }
});
