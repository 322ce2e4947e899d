import type { V1ContainerState, V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { asEvicted, mayBeEviction, viewPod } from "./podView.ts";

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

/** The same as `pod`, with vnc-proxy as a sidecar. */
const withSidecar = (status: V1PodStatus, agent: V1ContainerState, proxy: V1ContainerState): V1Pod =>
  pod({
    ...status,
    initContainerStatuses: [container("vnc-proxy", proxy)],
    containerStatuses: [container("agent", agent)],
  });

/** A pod whose image has neither berthd nor a desktop. */
const withoutDesktop = (agent: V1ContainerState, copy: V1ContainerState): V1Pod =>
  pod({
    phase: "Pending",
    initContainerStatuses: [container("copy-berthd", copy)],
    containerStatuses: [container("agent", agent)],
  });

const container = (name: string, state: V1ContainerState) => ({
  name,
  state,
  ready: false,
  restartCount: 0,
  image: "",
  imageID: "",
});

/** The status that the kubelet writes when it ends a pod by itself (Kubernetes 1.34). */
const kubeletEnd = (message: string) => ({
  type: "DisruptionTarget",
  status: "True",
  reason: "TerminationByKubelet",
  message,
});

test("no pod", () => {
  expect(viewPod(undefined)).toEqual({ is: "absent" });
});

test("a ready pod has an address", () => {
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
      conditions: [
        {
          type: "PodScheduled",
          status: "False",
          reason: "Unschedulable",
          message: "0/1 nodes are available: 1 Insufficient cpu.",
        },
      ],
    }),
    "Waiting for a node with room: 0/1 nodes are available: 1 Insufficient cpu.",
    "room",
  ],
  ["not yet scheduled", pod({ phase: "Pending", conditions: [] }), "Waiting for a node", "time"],
  [
    "being created",
    pod({ phase: "Pending" }, { waiting: { reason: "ContainerCreating" } }),
    "The session's containers are being created",
    "time",
  ],
  [
    "image can't be pulled",
    pod({ phase: "Pending" }, { waiting: { reason: "ImagePullBackOff", message: "not found" } }),
    "The session's image can't be pulled (agent): not found",
    "help",
  ],
  [
    "ConfigMap missing",
    pod(
      { phase: "Pending" },
      { waiting: { reason: "CreateContainerConfigError", message: 'configmap "agent-config" not found' } },
    ),
    `The session's container can't be configured (agent): configmap "agent-config" not found`,
    "help",
  ],
  ["desktop starting", pod({ phase: "Running" }, { running: {} }), "The desktop is starting", "time"],
  [
    "starting without a desktop, after the copy of berthd",
    withoutDesktop({ running: {} }, { terminated: { exitCode: 0 } }),
    "The session is starting",
    "time",
  ],
  [
    "being created while berthd is copied",
    withoutDesktop({ waiting: { reason: "PodInitializing" } }, { running: {} }),
    "The session's containers are being created",
    "time",
  ],
])("on its way: %s", (_name, given, reason, needs) => {
  expect(viewPod(given)).toEqual({ is: "pending", reason, needs });
});

test.each([
  [
    "out of memory",
    pod({ phase: "Running" }, { terminated: { exitCode: 137, reason: "OOMKilled" } }),
    "The agent ran out of memory; a larger tier has more",
    "out-of-memory",
  ],
  [
    "agent's error, though the proxy still runs",
    pod({ phase: "Running" }, { terminated: { exitCode: 3, reason: "Error" } }),
    "The agent exited with code 3",
    "agent-error",
  ],
  [
    "proxy ended, in a pod of before it was a sidecar",
    pod({ phase: "Running" }, { running: {} }, { terminated: { exitCode: 0, reason: "Completed" } }),
    "The desktop's proxy exited with code 0",
    "agent-error",
  ],
  [
    "evicted",
    pod({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." }),
    "The session was evicted from its node: The node was low on resource: memory.",
    "evicted",
  ],
  [
    "evicted, and its agent exited with 0 at that",
    pod({
      phase: "Succeeded",
      conditions: [kubeletEnd("The node was low on resource: memory.")],
      containerStatuses: [container("agent", { terminated: { exitCode: 0, reason: "Completed" } })],
    }),
    "The session was evicted from its node: The node was low on resource: memory.",
    "evicted",
  ],
])("broken: %s", (_name, given, reason, cause) => {
  expect(viewPod(given)).toEqual({ is: "broken", cause, reason });
});

/**
 * A pod as Kubernetes 1.34 shows it after the kubelet evicted it because of an emptyDir and its containers exited with 0.
 */
const evictedWithZero = () => {
  const end = { exitCode: 0, reason: "Completed" };
  const conditions = [
    { type: "PodReadyToStartContainers", status: "False" },
    { type: "Initialized", status: "True", reason: "PodCompleted" },
    { type: "Ready", status: "False", reason: "PodCompleted" },
    { type: "ContainersReady", status: "False", reason: "PodCompleted" },
    scheduled,
  ];
  return withSidecar({ phase: "Succeeded", conditions }, { terminated: end }, { terminated: end });
};
/** The kubelet's event about the eviction. */
const eviction = {
  reason: "Evicted",
  type: "Warning",
  source: { component: "kubelet", host: "worker-1" },
  message: 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". ',
};

test("a pod that looks successful was evicted if the kubelet's event says so", () => {
  const view = viewPod(evictedWithZero());
  expect(view).toEqual({ is: "finished", reason: "The agent exited" });
  expect(mayBeEviction(view)).toBe(true);
  expect(asEvicted(view, [])).toBe(view);
  expect(asEvicted(view, [eviction])).toEqual({
    is: "broken",
    cause: "evicted",
    reason: 'The session was evicted from its node: Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".',
  });
});

test.each([
  ["exited with an error", pod({ phase: "Running" }, { terminated: { exitCode: 143, reason: "Error" } }), true],
  ["runs", pod({ phase: "Running" }, { running: {} }), false],
  ["ran out of memory", pod({ phase: "Running" }, { terminated: { exitCode: 137, reason: "OOMKilled" } }), false],
])("whether an agent that %s may have been evicted", (_name, given, expected) => {
  const view = viewPod(given);
  expect(mayBeEviction(view)).toBe(expected);
  expect(asEvicted(view, [eviction])).toMatchObject(expected ? { cause: "evicted" } : view);
});

const disrupted = (reason: string) => ({
  conditions: [scheduled, { type: "DisruptionTarget", status: "True", reason, message: "node worker-1" }],
});
const ended = { terminated: { exitCode: 143, reason: "Error" } };

test.each([
  [
    "drained",
    pod({ phase: "Running", ...disrupted("EvictionByEvictionAPI") }, { running: {} }),
    "The session's node is being drained: node worker-1",
  ],
  [
    "drained, and its agent has obeyed already",
    pod({ phase: "Running", ...disrupted("EvictionByEvictionAPI") }, ended),
    "The session's node is being drained: node worker-1",
  ],
  [
    "node not reachable",
    pod({ phase: "Running", ...disrupted("DeletionByTaintManager") }),
    "The session's node can't be reached, or its taints evict the session's pod: node worker-1",
  ],
  ["node gone", pod({ phase: "Failed", ...disrupted("DeletionByPodGC") }), "The session's node is gone: node worker-1"],
  ["node shut down", pod({ phase: "Failed", reason: "Terminated" }), "The session's node was shut down"],
  [
    "node shut down, and its agent exited with 0 at that",
    pod({
      phase: "Succeeded",
      conditions: [kubeletEnd("Pod was terminated in response to imminent node shutdown.")],
      containerStatuses: [container("agent", { terminated: { exitCode: 0, reason: "Completed" } })],
    }),
    "The session's node was shut down: Pod was terminated in response to imminent node shutdown.",
  ],
  [
    "preempted",
    pod({ phase: "Running", ...disrupted("PreemptionByScheduler") }),
    "The session's pod was preempted by a pod with a higher priority: node worker-1",
  ],
])("displaced: %s", (_name, given, reason) => {
  expect(viewPod(given)).toEqual({ is: "displaced", reason });
});

test.each([
  ["out of memory", { terminated: { exitCode: 137, reason: "OOMKilled" } }],
  ["by itself", { terminated: { exitCode: 0, reason: "Completed" } }],
  ["again and again", { waiting: { reason: "CrashLoopBackOff" } }],
])("a proxy that ended %s ends nothing: it is restarted", (_name, proxy) => {
  const conditions = [scheduled, { type: "Ready", status: "False" }];
  const view = viewPod(withSidecar({ phase: "Running", conditions }, { running: {} }, proxy));
  expect(view).toMatchObject({ is: "pending", needs: "time" });
});

test("a sidecar image that can't be pulled is reported, although the agent waits for the sidecar", () => {
  const image = { waiting: { reason: "ErrImagePull", message: "not found" } };
  const view = viewPod(withSidecar({ phase: "Pending" }, { waiting: { reason: "PodInitializing" } }, image));
  const reason = "The session's image can't be pulled (vnc-proxy): not found";
  expect(view).toEqual({ is: "pending", reason, needs: "help" });
});

test("a deleted pod is leaving, even if the deletion has ended its agent", () => {
  const deleted = {
    ...pod({ phase: "Running", podIP: "10.0.0.7" }, ended),
    metadata: { deletionTimestamp: new Date() },
  };
  expect(viewPod(deleted)).toEqual({
    is: "leaving",
    reason: "The session's pod was deleted by somebody or something outside Berth",
  });
});

test("an agent that exits with 0 has finished, although the proxy is still running", () => {
  expect(viewPod(pod({ phase: "Running" }, { terminated: { exitCode: 0, reason: "Completed" } }))).toEqual({
    is: "finished",
    reason: "The agent exited",
  });
});

test("a reason is one line of at most 300 characters", () => {
  const view = viewPod(
    pod({ phase: "Pending" }, { waiting: { reason: "ErrImagePull", message: `a\n${"b".repeat(999)}` } }),
  );
  expect(view).toMatchObject({ reason: expect.stringMatching(/^[^\n]{300}$/) });
});

test("if berthd could not be copied into a pod, the reason says so, and not that the agent failed", () => {
  const failed = withoutDesktop({ waiting: { reason: "PodInitializing" } }, { terminated: { exitCode: 1 } });
  expect(viewPod({ ...failed, status: { ...failed.status, phase: "Failed" } })).toEqual({
    is: "broken",
    cause: "rejected",
    reason: "berthd could not be copied into the session's pod (exit code 1)",
  });
});
