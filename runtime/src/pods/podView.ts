/** What a pod says about its session; pure. The rules for what is shown as a reason are all in this file. */
import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";

export type PodView =
  | { is: "absent" }
  /** On its way. `blocked` means that without somebody's help it will not get on. */
  | { is: "pending"; reason: string; blocked: boolean }
  | { is: "ready"; ip: string }
  /** The agent ended by itself and well. */
  | { is: "finished"; reason: string }
  | { is: "broken"; reason: string };

/** What containers wait for that no time heals; anything else is on its way. */
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

/** Reads the pod; undefined means that there is none. */
export function viewPod(pod: V1Pod | undefined): PodView {
  if (pod === undefined) return { is: "absent" };
  const { status } = pod;
  const containers = status?.containerStatuses ?? [];

  if (status?.phase === "Failed" && status.reason !== undefined) {
    return { is: "broken", reason: podReason(status.reason, status.message) };
  }
  // A pod with a container left counts as running; a session without its agent is over.
  for (const container of containers) {
    const ended = viewEnd(container);
    if (ended !== undefined) return ended;
  }
  if (status?.phase === "Failed") return { is: "broken", reason: "The session's pod failed" };
  if (status?.phase === "Succeeded") return { is: "finished", reason: "The agent exited" };
  if (pod.metadata?.deletionTimestamp !== undefined) {
    return { is: "broken", reason: "The session's pod was deleted by somebody or something outside Berth" };
  }
  if (
    status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") &&
    status.podIP
  ) {
    return { is: "ready", ip: status.podIP };
  }
  return viewStart(pod, containers);
}

function viewStart(pod: V1Pod, containers: V1ContainerStatus[]): PodView {
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
  if (scheduled?.status !== "True") {
    // Not `blocked`: a bigger cluster may be on its way.
    const reason = scheduled?.message ? `Waiting for a node with room: ${scheduled.message}` : "Waiting for a node";
    return { is: "pending", reason: shorten(reason), blocked: false };
  }
  for (const { name, state } of containers) {
    const blocker = blockers[state?.waiting?.reason ?? ""];
    if (blocker !== undefined) {
      return { is: "pending", reason: withDetail(`${blocker} (${name})`, state?.waiting?.message), blocked: true };
    }
  }
  const waiting = containers.length === 0 || containers.some((container) => container.state?.running === undefined);
  return {
    is: "pending",
    reason: waiting ? "Its containers are being created" : "The desktop is starting",
    blocked: false,
  };
}

function viewEnd({ name, state }: V1ContainerStatus): PodView | undefined {
  const end = state?.terminated;
  if (end === undefined) return undefined;
  if (end.reason === "OOMKilled") {
    return { is: "broken", reason: `${who(name)} ran out of memory; a larger tier has more` };
  }
  if (name === "agent" && end.exitCode === 0) return { is: "finished", reason: "The agent exited" };
  if (end.reason === "StartError" || end.reason === "ContainerCannotRun") {
    return { is: "broken", reason: withDetail(`${who(name)} could not be started`, end.message) };
  }
  return { is: "broken", reason: `${who(name)} exited with code ${end.exitCode}` };
}

const who = (container: string) => (container === "agent" ? "The agent" : "The desktop's proxy");

function podReason(reason: string, message: string | undefined): string {
  switch (reason) {
    case "Evicted":
      return withDetail("The session was evicted from its node", message);
    case "Preempting":
    case "Preempted":
      return "The session made room for something more important";
    case "NodeLost":
    case "NodeShutdown":
    case "Terminated":
      return withDetail("The session's node went away", message);
    case "DeadlineExceeded":
      return "The session's pod ran longer than allowed";
    default:
      return withDetail(`The session's pod failed (${reason})`, message);
  }
}

const withDetail = (text: string, detail: string | undefined) => shorten(detail ? `${text}: ${detail}` : text);

/** Reasons are for people: one line, at most 300 characters. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 300 ? line : `${line.slice(0, 299)}…`;
}
