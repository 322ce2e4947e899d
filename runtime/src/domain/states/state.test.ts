import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { finalStates, isFinal, type SessionEvent, type State, type Status, states, transition } from "./state.ts";

const at = (state: State, changes: Partial<Status> = {}): Status => ({
  state,
  reason: null,
  cause: null,
  endsAs: null,
  podIp: null,
  resumes: false,
  stalled: false,
  ...changes,
});

const stop: SessionEvent = { type: "stop", cause: "user", reason: "Stopped by the user" };
const fail: SessionEvent = { type: "fail", cause: "out-of-memory", reason: "out of memory" };
const gone: SessionEvent = { type: "gone", keepSeconds: 0 };

const events: SessionEvent[] = [
  { type: "setReason", reason: "quota" },
  { type: "admitted" },
  { type: "deferred", reason: "no room" },
  { type: "ready", podIp: "10.0.0.1" },
  { type: "suspend", reason: "Suspended by the user" },
  { type: "displaced", reason: "its node is drained" },
  { type: "vacated" },
  { type: "resume", reason: "Resumed by the user" },
  stop,
  fail,
  gone,
];

const after = (status: Status, ...happened: SessionEvent[]) =>
  happened.reduce((current, event) => transition(current, event) ?? current, status);

test("a session goes from the queue to running and ends when none of its objects is left", () => {
  const ended = after(at("queued"), { type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, stop, gone);
  expect(ended).toEqual(at("stopped", { reason: "Stopped by the user", cause: "user", endsAs: "stopped" }));
});

test("a failed session ends as failed, with its reason and cause, after its objects are gone", () => {
  const failing = after(at("running", { podIp: "10.0.0.1" }), fail);
  expect(failing).toEqual(at("stopping", { reason: "out of memory", cause: "out-of-memory", endsAs: "failed" }));
  expect(after(failing, gone).state).toBe("failed");
});

test("a suspended session waits in the queue again after a resume, also if the resume comes while it is suspending", () => {
  const suspending = after(at("running", { podIp: "10.0.0.1" }), { type: "suspend", reason: "Suspended by the user" });
  expect(suspending).toEqual(at("suspending", { reason: "Suspended by the user" }));
  expect(after(suspending, { type: "vacated" }, { type: "resume", reason: "" }).state).toBe("queued");
  expect(after(suspending, { type: "resume", reason: "" }, { type: "vacated" }).state).toBe("queued");
  const changedItsMind = after(suspending, { type: "resume", reason: "" }, { type: "suspend", reason: "" });
  expect(after(changedItsMind, { type: "vacated" }).state).toBe("suspended");
});

test("a session that must leave its node starts again by itself once its pod is gone", () => {
  for (const state of ["starting", "running"] as const) {
    const leaving = after(at(state), { type: "displaced", reason: "its node is drained" });
    expect(leaving).toEqual(at("suspending", { reason: "its node is drained", resumes: true }));
    expect(after(leaving, { type: "vacated" })).toEqual(at("queued", { reason: "its node is drained" }));
  }
});

test("the pod's address is known only while the session is running", () => {
  const running = after(at("starting"), { type: "ready", podIp: "10.0.0.1" });
  expect(running.podIp).toBe("10.0.0.1");
  for (const event of events) {
    const next = transition(running, event);
    if (next !== undefined && next.state !== "running") expect(next.podIp).toBeNull();
  }
});

test("every event in every state, and the states that follow", () => {
  const table = states.map((state) => [
    state,
    events.map((event) => transition(at(state), event)?.state ?? "-").join(" "),
  ]);
  expect(Object.fromEntries(table)).toEqual({
    // waiting admitted deferred ready suspend displaced vacated resume stop fail gone
    queued: "queued starting - - - - - - stopping stopping -",
    starting: "starting - queued running - suspending - - stopping stopping -",
    running: "- - - - suspending suspending - - stopping stopping -",
    suspending: "- - - - - - suspended suspending stopping stopping -",
    suspended: "- - - - - - - queued stopping stopping -",
    stopping: "- - - - - - - - - - stopped",
    stopped: "- - - - - - - - - - -",
    failed: "- - - - - - - - - - -",
  });
});

test("no event leads out of a final state, and a repeated event changes nothing", () => {
  for (const state of finalStates) for (const event of events) expect(transition(at(state), event)).toBeUndefined();
  for (const state of states) {
    for (const event of events) {
      const once = transition(at(state), event);
      if (once !== undefined) expect(transition(once, event)).toBeUndefined();
    }
  }
});

test("after any events in any order, every session can end exactly once and stays ended", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events)), fc.array(fc.constantFrom(...events)), (before, later) => {
      const ended = after(at("queued"), ...before, stop, gone);
      expect(isFinal(ended.state)).toBe(true);
      expect(ended).toMatchObject({ endsAs: ended.state, cause: expect.any(String), podIp: null });
      expect(after(ended, ...later)).toEqual(ended);
    }),
  );
});

test("after any events, a running session has a pod's address and no cause of an end, and any other has no address", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events)), (happened) => {
      const { state, podIp, cause, stalled, resumes } = after(at("queued"), ...happened);
      expect(podIp !== null).toBe(state === "running");
      expect(cause !== null).toBe(state === "stopping" || isFinal(state));
      if (stalled) expect(state).toBe("starting");
      if (resumes) expect(state).toBe("suspending");
    }),
  );
});
