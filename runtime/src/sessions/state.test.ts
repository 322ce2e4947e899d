import { expect, test } from "vitest";
import { finalStates, type SessionEvent, type State, type Status, states, transition } from "./state.ts";

const at = (state: State, changes: Partial<Status> = {}): Status => ({
  state,
  reason: null,
  endsAs: null,
  podIp: null,
  ...changes,
});

const events: SessionEvent[] = [
  { type: "waiting", reason: "quota" },
  { type: "started" },
  { type: "ready", podIp: "10.0.0.1" },
  { type: "stop", reason: "Stopped by the user" },
  { type: "fail", reason: "out of memory" },
  { type: "gone" },
];

test("a session goes its way from the queue to running and ends when nothing is left of it", () => {
  let status = at("queued");
  for (const event of events.filter(({ type }) => type !== "fail")) status = transition(status, event) ?? status;
  expect(status).toEqual(at("stopped", { reason: "Stopped by the user", endsAs: "stopped" }));
});

test("a session that failed ends as failed, with its reason, after its objects are gone", () => {
  const failing = transition(at("running", { podIp: "10.0.0.1" }), { type: "fail", reason: "out of memory" });
  expect(failing).toEqual(at("stopping", { reason: "out of memory", endsAs: "failed" }));
  expect(failing && transition(failing, { type: "gone" })?.state).toBe("failed");
});

test("the address of the pod is known while the session runs, and only then", () => {
  const running = transition(at("starting"), { type: "ready", podIp: "10.0.0.1" });
  expect(running?.podIp).toBe("10.0.0.1");
  expect(running && transition(running, { type: "stop", reason: "" })?.podIp).toBeNull();
});

test("every event in every state: which states follow", () => {
  const table = states.map((state) => [
    state,
    events.map((event) => transition(at(state), event)?.state ?? "-").join(" "),
  ]);
  expect(Object.fromEntries(table)).toEqual({
    // waiting started ready stop fail gone
    queued: "queued starting - stopping stopping -",
    starting: "starting - running stopping stopping -",
    running: "- - - stopping stopping -",
    stopping: "- - - - - stopped",
    stopped: "- - - - - -",
    failed: "- - - - - -",
  });
});

test("no event leads out of a final state, and an event that comes twice changes nothing the second time", () => {
  for (const state of finalStates) for (const event of events) expect(transition(at(state), event)).toBeUndefined();
  for (const state of states) {
    for (const event of events) {
      const once = transition(at(state), event);
      if (once !== undefined) expect(transition(once, event)).toBeUndefined();
    }
  }
});
