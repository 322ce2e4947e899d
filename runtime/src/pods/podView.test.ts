import type { V1ContainerState, V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { viewPod } from "./podView.ts";

const scheduled = { type: "PodScheduled", status: "True" };

const pod = (status: V1PodStatus, agent?: V1ContainerState, proxy: V1ContainerState = { running: {} }): V1Pod => ({
  metadata: {},
  status: {
    conditions: [scheduled],
    ...status,
    ...(agent && {
      containerStatuses: [container("agent", agent), container("vnc-proxy", proxy)],
    }),
  },
});

const container = (name: string, state: V1ContainerState) => ({
  name,
  state,
  ready: false,
  restartCount: 0,
  image: "",
  imageID: "",
});

test("no pod", () => {
  expect(viewPod(undefined)).toEqual({ is: "absent" });
});

test("a pod that is ready has an address", () => {
  const conditions = [scheduled, { type: "Ready", status: "True" }];
  expect(viewPod(pod({ phase: "Running", conditions, podIP: "10.0.0.7" }, { running: {} }))).toEqual({
    is: "ready",
    ip: "10.0.0.7",
  });
});

test.each([
  [
    "no node with room",
    pod({
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes are available: 1 Insufficient cpu." }],
    }),
    "Waiting for a node with room: 0/1 nodes are available: 1 Insufficient cpu.",
    false,
  ],
  ["not yet scheduled", pod({ phase: "Pending", conditions: [] }), "Waiting for a node", false],
  [
    "being created",
    pod({ phase: "Pending" }, { waiting: { reason: "ContainerCreating" } }),
    "Its containers are being created",
    false,
  ],
  [
    "image can't be pulled",
    pod({ phase: "Pending" }, { waiting: { reason: "ImagePullBackOff", message: "not found" } }),
    "The session's image can't be pulled (agent): not found",
    true,
  ],
  [
    "ConfigMap missing",
    pod(
      { phase: "Pending" },
      { waiting: { reason: "CreateContainerConfigError", message: 'configmap "agent-config" not found' } },
    ),
    `The session's container can't be configured (agent): configmap "agent-config" not found`,
    true,
  ],
  ["desktop starting", pod({ phase: "Running" }, { running: {} }), "The desktop is starting", false],
])("on its way: %s", (_name, given, reason, blocked) => {
  expect(viewPod(given)).toEqual({ is: "pending", reason, blocked });
});

test.each([
  [
    "out of memory",
    pod({ phase: "Running" }, { terminated: { exitCode: 137, reason: "OOMKilled" } }),
    "The agent ran out of memory; a larger tier has more",
  ],
  [
    "agent's error, though the proxy still runs",
    pod({ phase: "Running" }, { terminated: { exitCode: 3, reason: "Error" } }),
    "The agent exited with code 3",
  ],
  [
    "proxy ended",
    pod({ phase: "Running" }, { running: {} }, { terminated: { exitCode: 0, reason: "Completed" } }),
    "The desktop's proxy exited with code 0",
  ],
  [
    "evicted",
    pod({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." }),
    "The session was evicted from its node: The node was low on resource: memory.",
  ],
  ["node shut down", pod({ phase: "Failed", reason: "NodeShutdown" }), "The session's node went away"],
  [
    "deleted behind our back",
    { ...pod({ phase: "Running", podIP: "10.0.0.7" }, { running: {} }), metadata: { deletionTimestamp: new Date() } },
    "The session's pod was deleted by somebody or something outside Berth",
  ],
])("broken: %s", (_name, given, reason) => {
  expect(viewPod(given)).toEqual({ is: "broken", reason });
});

test("an agent that ends well has finished, though the proxy still runs", () => {
  expect(viewPod(pod({ phase: "Running" }, { terminated: { exitCode: 0, reason: "Completed" } }))).toEqual({
    is: "finished",
    reason: "The agent exited",
  });
});

test("reasons are one line of at most 300 characters", () => {
  const view = viewPod(
    pod({ phase: "Pending" }, { waiting: { reason: "ErrImagePull", message: `a\n${"b".repeat(999)}` } }),
  );
  expect(view).toMatchObject({ reason: expect.stringMatching(/^[^\n]{300}$/) });
});
