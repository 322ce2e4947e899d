/** Finds out what a pod's status means for its session, and which reason the user sees for this status. Pure: no I/O. */
import type { CoreV1Event, V1ContainerStatus, V1Pod } from "@kubernetes/client-node";
import type { PodView } from "../domain/states/podView.ts";

export const deletedOutside = "The session's pod was deleted by somebody or something outside Berth";

/** The reasons of waiting containers that don't start by themselves. With any other reason, a container counts as starting. */
const blockers: Record<string, string> = {
  ErrImagePull: "The session's image can't be pulled",
  ImagePullBackOff: "The session's image can't be pulled",
  InvalidImageName: "The session's image has an invalid name",
  ErrImageNeverPull: "The session's image is not on the node and may not be pulled",
  ImageInspectError: "The session's image can't be read on the node",
  CreateContainerConfigError: "The session's container can't be configured",
  CreateContainerError: "The session's container can't be created",
  RunContainerError: "The session's container can't be run",
};

/** Reasons of the pod condition DisruptionTarget for which the session is not at fault; see also `viewKubeletEnd`. */
const disruptions: Record<string, string> = {
  EvictionByEvictionAPI: "The session's node is being drained",
  DeletionByTaintManager: "The session's node can't be reached, or its taints evict the session's pod",
  DeletionByPodGC: "The session's node is gone",
  PreemptionByScheduler: "The session's pod was preempted by a pod with a higher priority",
};

/** The reasons in the status of a failed pod for which the session is not at fault. */
const failures: Record<string, string> = {
  Preempting: "The session's pod was preempted by a pod with a higher priority",
  NodeLost: "The session's node is gone",
  NodeShutdown: "The session's node was shut down",
  Terminated: "The session's node was shut down",
};

/** Reads the pod; undefined means that there is no pod. */
export function viewPod(pod: V1Pod | undefined): PodView {
  if (pod === undefined) return { is: "absent" };
  const { status } = pod;
  const displaced = viewDisruption(pod) ?? viewKubeletEnd(pod);
  if (displaced !== undefined) return displaced;
  // A deletion ends the containers, so the deletion is checked before the containers' states.
  if (pod.metadata?.deletionTimestamp !== undefined) return { is: "leaving", reason: deletedOutside };
  if (status?.phase === "Failed" && status.reason !== undefined) return viewFailure(status.reason, status.message);

  const containers = status?.containerStatuses ?? [];
  // Kubernetes reports a pod as running as long as one of its containers runs, but a session without its agent has ended.
  // A sidecar that ended does not end the session, because the kubelet restarts the sidecar.
  for (const container of containers) {
    const ended = viewEnd(container);
    if (ended !== undefined) return ended;
  }
  const copy = status?.initContainerStatuses?.find(({ name }) => name === "copy-berthd")?.state?.terminated;
  if (copy !== undefined && copy.exitCode !== 0) {
    const reason = `berthd could not be copied into the session's pod (exit code ${copy.exitCode})`;
    return { is: "broken", cause: "rejected", reason: withDetail(reason, copy.message) };
  }
  if (status?.phase === "Failed") return { is: "broken", cause: "agent-error", reason: "The session's pod failed" };
  if (status?.phase === "Succeeded") return { is: "finished", reason: "The agent exited" };
  const ready = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  if (ready && status?.podIP) return { is: "ready", ip: status.podIP };
  return viewStart(pod, [...(status?.initContainerStatuses ?? []), ...containers]);
}

function viewDisruption({ status }: V1Pod): PodView | undefined {
  const target = status?.conditions?.find(({ type, status }) => type === "DisruptionTarget" && status === "True");
  const byCondition = disruptions[target?.reason ?? ""];
  if (byCondition !== undefined) return { is: "displaced", reason: withDetail(byCondition, target?.message) };
  const byFailure = status?.phase === "Failed" ? failures[status.reason ?? ""] : undefined;
  if (byFailure !== undefined) return { is: "displaced", reason: withDetail(byFailure, status?.message) };
  return undefined;
}

/**
 * The view if the kubelet itself ended the pod. If all containers then exit with 0, the pod's phase is Succeeded, and only
 * the condition DisruptionTarget shows the eviction. If a volume was too large, the condition is missing too; see
 * `asEvicted`.
 */
function viewKubeletEnd({ status }: V1Pod): PodView | undefined {
  const target = status?.conditions?.find(({ type, status }) => type === "DisruptionTarget" && status === "True");
  if (target?.reason !== "TerminationByKubelet") return undefined;
  const message = target.message ?? "";
  const failure = /shutdown/i.test(message) ? "NodeShutdown" : /preempt/i.test(message) ? "Preempting" : undefined;
  return failure === undefined
    ? viewFailure("Evicted", message)
    : { is: "displaced", reason: withDetail(failures[failure] ?? "", message) };
}

/** Whether the agent's end may be an eviction that the pod's own status does not show. */
export const mayBeEviction = (view: PodView): boolean =>
  view.is === "finished" || (view.is === "broken" && view.cause === "agent-error");

/** The view of a pod for which the kubelet has sent these events with the reason Evicted. */
export function asEvicted(view: PodView, evictions: Pick<CoreV1Event, "message">[]): PodView {
  const [eviction] = evictions;
  return eviction !== undefined && mayBeEviction(view) ? viewFailure("Evicted", eviction.message) : view;
}

function viewStart(pod: V1Pod, containers: V1ContainerStatus[]): PodView {
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
  if (scheduled?.status !== "True") {
    // A pod without a node needs no person's help, because the cluster autoscaler may be adding a node.
    return scheduled?.reason === "Unschedulable"
      ? { is: "pending", reason: withDetail("Waiting for a node with room", scheduled.message), needs: "room" }
      : { is: "pending", reason: "Waiting for a node", needs: "time" };
  }
  for (const { name, state } of containers) {
    const blocker = blockers[state?.waiting?.reason ?? ""];
    if (blocker !== undefined) {
      return { is: "pending", reason: withDetail(`${blocker} (${name})`, state?.waiting?.message), needs: "help" };
    }
  }
  // A terminated container is not being created: the init container that copies berthd ends before the others start.
  const areCreating = containers.length === 0 || containers.some(({ state }) => !state?.running && !state?.terminated);
  const what = containers.some(({ name }) => name === "vnc-proxy")
    ? "The desktop is starting"
    : "The session is starting";
  return { is: "pending", reason: areCreating ? "The session's containers are being created" : what, needs: "time" };
}

function viewEnd({ name, state }: V1ContainerStatus): PodView | undefined {
  const end = state?.terminated;
  if (end === undefined) return undefined;
  if (end.reason === "OOMKilled") {
    return { is: "broken", cause: "out-of-memory", reason: `${who(name)} ran out of memory; a larger tier has more` };
  }
  if (name === "agent" && end.exitCode === 0) return { is: "finished", reason: "The agent exited" };
  if (end.reason === "StartError" || end.reason === "ContainerCannotRun") {
    return { is: "broken", cause: "rejected", reason: withDetail(`${who(name)} could not be started`, end.message) };
  }
  return { is: "broken", cause: "agent-error", reason: `${who(name)} exited with code ${end.exitCode}` };
}

const who = (container: string) => (container === "agent" ? "The agent" : "The desktop's proxy");

function viewFailure(reason: string, message: string | undefined): PodView {
  switch (reason) {
    case "Evicted":
      return {
        is: "broken",
        cause: "evicted",
        reason: withDetail("The session was evicted from its node", message),
      };
    case "DeadlineExceeded":
      return { is: "broken", cause: "max-lifetime", reason: "The session's pod ran longer than allowed" };
    default:
      return {
        is: "broken",
        cause: "agent-error",
        reason: withDetail(`The session's pod failed (${reason})`, message),
      };
  }
}

const withDetail = (text: string, detail: string | undefined) => shorten(detail ? `${text}: ${detail}` : text);

/** Shortens a reason for users: one line of at most 300 characters. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 300 ? line : `${line.slice(0, 299)}…`;
}
