/** What the status of a session's pod means for the session. */
import type { Cause } from "./state.ts";

export type PodView =
  | { is: "absent" }
  /** The pod is starting. `needs`: what the pod waits for: more time, a node with room, or a person's help. */
  | { is: "pending"; reason: string; needs: "time" | "room" | "help" }
  | { is: "ready"; ip: string }
  /** The agent exited with code 0. */
  | { is: "finished"; reason: string }
  /** The node is drained, shut down or gone, or another pod preempted this one: the session is not at fault. */
  | { is: "displaced"; reason: string }
  /** Somebody deleted the pod, and it is terminating. */
  | { is: "leaving"; reason: string }
  | { is: "broken"; cause: Cause; reason: string };

/** Whether a running session continues with this pod. If not, a reconcile ends or moves the session. */
export const isUp = (is: PodView["is"]): boolean => is === "ready" || is === "pending";
