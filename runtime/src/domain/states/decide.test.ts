import { expect, test } from "vitest";
import { session, tenant } from "../../testing/fixtures.ts";
import type { Session } from "../session.ts";
import { decideDown, decideEnd, decideRun, decideStart, isNodeDead, type Observed } from "./decide.ts";
import type { PodView } from "./podView.ts";

const acme = tenant("acme");
const drainTo = (onDrain: "end" | "resume") => tenant("acme", { onDrain });
const none: Observed = {
  pod: { is: "absent" },
  podUid: undefined,
  podOverdueSeconds: undefined,
  secret: "absent",
  volumeClaim: "absent",
  podObject: "absent",
};
const up: Observed = {
  pod: { is: "ready", ip: "10.0.0.1" },
  podUid: "pod-1",
  podOverdueSeconds: undefined,
  secret: "present",
  volumeClaim: "present",
  podObject: "present",
};
const podless: Observed = { ...up, ...{ pod: { is: "absent" }, podUid: undefined, podObject: "absent" } };
const leaving: PodView = { is: "leaving", reason: "deleted" };
const displaced: PodView = { is: "displaced", reason: "its node is drained" };

const start = (pod: PodView, secondsInState = 1) =>
  decideStart({ secondsInState }, { pod }, { startTimeoutSeconds: 300 });
const run = (pod: PodView, changes: Partial<Session> = {}, owner = acme) =>
  decideRun(session({ state: "running", podIp: "10.0.0.1", ...changes }), { pod }, owner);
const down = (changes: Partial<Session>, observed: Observed, retentionSeconds = 0) =>
  decideDown(session({ startedAt: new Date(0), ...changes }), observed, retentionSeconds);

test("a starting session is running when its pod is ready, and until then its reason says what it waits for", () => {
  expect(start(up.pod)).toEqual({ do: "apply", event: { type: "ready", podIp: "10.0.0.1" } });
  expect(start({ is: "pending", reason: "The desktop is starting", needs: "time" })).toEqual({
    do: "apply",
    event: { type: "setReason", reason: "The desktop is starting", stalled: false },
  });
});

test("a session that waits for quota or for help gives its start slot to others", () => {
  for (const needs of ["room", "help"] as const) {
    expect(start({ is: "pending", reason: "", needs })).toMatchObject({ event: { type: "setReason", stalled: true } });
  }
});

test("a start has a deadline, which is shorter if time alone can't help", () => {
  const slow: PodView = { is: "pending", reason: "Waiting for a node with room", needs: "room" };
  const blocked: PodView = { is: "pending", reason: "The image can't be pulled", needs: "help" };
  expect(start(slow, 299)).toMatchObject({ event: { type: "setReason" } });
  expect(start(slow, 301)).toMatchObject({
    event: { type: "fail", cause: "start-timeout", reason: expect.stringContaining("300 s. Waiting for a node") },
  });
  expect(start(blocked, 59)).toMatchObject({ event: { type: "setReason" } });
  expect(start(blocked, 61)).toMatchObject({
    event: { type: "fail", cause: "rejected", reason: expect.stringContaining("can't be pulled") },
  });
});

test("a pod that is lost during the start is created again", () => {
  expect(start({ is: "absent" })).toEqual({ do: "create" });
  for (const pod of [leaving, displaced]) expect(start(pod)).toEqual({ do: "removePod" });
});

test("a start that no worker could reconcile in time is begun again and does not fail", () => {
  expect(start({ is: "absent" }, 301)).toMatchObject({ event: { type: "deferred" } });
});

test("a session whose pod vanished, broke or finished ends with a reason", () => {
  expect(run({ is: "absent" })).toMatchObject({ event: { type: "fail", cause: "pod-lost" } });
  expect(run(leaving)).toMatchObject({ event: { type: "fail", cause: "pod-lost" } });
  for (const decide of [start, run]) {
    expect(decide({ is: "broken", cause: "out-of-memory", reason: "out of memory" })).toMatchObject({
      event: { type: "fail", cause: "out-of-memory", reason: "out of memory" },
    });
    expect(decide({ is: "finished", reason: "The agent exited" })).toMatchObject({
      event: { type: "stop", cause: "agent-exit" },
    });
  }
});

test("a running session is left alone, even while its pod is not ready for a moment", () => {
  expect(run(up.pod)).toEqual({ do: "nothing" });
  expect(run({ is: "pending", reason: "", needs: "time" })).toEqual({ do: "nothing" });
});

test("a drained node ends its sessions, or moves them if the tenant wants that and the workspace persists", () => {
  expect(run(displaced)).toMatchObject({ event: { type: "fail", cause: "node-drain" } });
  expect(run(displaced, {}, drainTo("resume"))).toMatchObject({ event: { type: "displaced" } });
  expect(run(displaced, { workspaceMode: "ephemeral" }, drainTo("resume"))).toMatchObject({
    event: { type: "fail", cause: "node-drain" },
  });
});

test("time limits and the tenant's limits end a session, whatever its pod's state", () => {
  const times = { secondsInState: 1, isIdle: false, isOverLifetime: false };
  const seen = { session: session({ state: "running" }), ...times };
  expect(decideEnd(seen, acme)).toBeUndefined();
  expect(decideEnd({ ...seen, isIdle: true }, acme)).toMatchObject({ event: { type: "stop", cause: "idle" } });
  expect(decideEnd({ ...seen, isOverLifetime: true }, acme)).toMatchObject({ event: { cause: "max-lifetime" } });
  expect(decideEnd(seen, undefined)).toMatchObject({ event: { cause: "tenant-removed" } });
  expect(decideEnd(seen, tenant("acme", { maxSessions: 0 }))).toMatchObject({ event: { cause: "quota-removed" } });
});

test("suspending removes the pod and keeps the rest", () => {
  expect(down({ state: "suspending" }, up)).toEqual({ do: "removePod" });
  expect(down({ state: "suspending" }, { ...up, podObject: "deleting" })).toEqual({ do: "wait" });
  expect(down({ state: "suspending" }, podless)).toEqual({ do: "apply", event: { type: "vacated" } });
  expect(down({ state: "suspended" }, podless)).toEqual({ do: "nothing" });
});

test("a node counts as dead if both the deletion of its pod is overdue and the session's state lasts for longer than the limit", () => {
  const isDead = (secondsInState: number, podOverdueSeconds: number | undefined, deadNodeSeconds = 300) =>
    isNodeDead({ secondsInState }, { podOverdueSeconds }, { deadNodeSeconds });
  expect(isDead(301, 301)).toBe(true);
  // The deletion began late; or the clock of this process is wrong; or there is no deletion.
  expect([isDead(999, 300), isDead(300, 999), isDead(999, undefined)]).toEqual([false, false, false]);
  expect(isDead(9_999, 9_999, 0)).toBe(false);
});

test("a suspended session without its workspace can't resume, and a pod that it should not have is removed", () => {
  for (const state of ["suspending", "suspended"] as const) {
    expect(down({ state }, { ...podless, volumeClaim: "deleting" })).toMatchObject({
      event: { type: "fail", cause: "workspace-lost" },
    });
    expect(down({ state }, { ...podless, secret: "absent" })).toMatchObject({ event: { cause: "workspace-lost" } });
  }
  expect(down({ state: "suspended" }, up)).toEqual({ do: "removePod" });
});

test("a stopping session deletes its owner once, waits until all objects are gone, and only then has ended", () => {
  const stopping = { state: "stopping" } as const;
  const gone = { do: "apply", event: { type: "gone", keepSeconds: 0 } };
  expect(down(stopping, up)).toEqual({ do: "remove" });
  expect(down(stopping, { ...up, secret: "deleting" })).toEqual({ do: "wait" });
  expect(down(stopping, { ...up, secret: "absent", podObject: "deleting" })).toEqual({ do: "remove" });
  expect(down(stopping, { ...none, volumeClaim: "deleting" })).toEqual({ do: "wait" });
  expect(down(stopping, none)).toEqual(gone);
});

test("under retention only the pod is removed, unless the workspace must be empty", () => {
  const stopping = { state: "stopping" } as const;
  expect(down(stopping, up, 60)).toEqual({ do: "removePod" });
  expect(down(stopping, podless, 60)).toEqual({ do: "apply", event: { type: "gone", keepSeconds: 60 } });
  expect(down({ ...stopping, startedAt: null }, up, 60)).toEqual({ do: "remove" });
  expect(down({ ...stopping, workspaceMode: "ephemeral" }, up, 60)).toEqual({ do: "remove" });
  expect(down(stopping, { ...podless, volumeClaim: "absent" }, 60)).toEqual({ do: "remove" });
});

test("after the end, retained objects stay, and objects that a stuck worker created are removed", () => {
  for (const state of ["stopped", "failed"] as const) {
    expect(down({ state, workspaceUntil: new Date() }, podless)).toEqual({ do: "nothing" });
    expect(down({ state, workspaceUntil: new Date() }, up)).toEqual({ do: "removePod" });
    expect(down({ state }, podless)).toEqual({ do: "remove" });
    expect(down({ state }, none)).toEqual({ do: "nothing" });
  }
});
