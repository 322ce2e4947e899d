/** What to do next for a session: a pure function of what should be (the row) and what is (the cluster). */
import type { PodView } from "../pods/podView.ts";
import type { SessionEvent, State } from "./state.ts";

export type ObjectState = "absent" | "present" | "deleting";

/** What the cluster has of a session. */
export interface Observed {
  /** What the pod says. */
  pod: PodView;
  /** The owner of the other two. */
  secret: ObjectState;
  claim: ObjectState;
  podObject: ObjectState;
}

export type Action =
  /** Make its objects, as far as they are missing. */
  | { do: "create" }
  /** Delete its objects. */
  | { do: "remove" }
  /** Change the row. */
  | { do: "apply"; event: SessionEvent }
  /** The cluster is at it: look again soon. */
  | { do: "wait" }
  /** All is as it should be. */
  | { do: "nothing" };

export interface Limits {
  /** Seconds from `starting` to `running`. */
  startTimeoutSeconds: number;
}

/** Seconds that an image registry or a missing object is given to come back before the session fails. */
const blockedPatienceSeconds = 60;

/** `observed` is not looked at for a queued session. `secondsInState` is for how long the session is in its state, by the database's clock. */
export function decide(state: State, observed: Observed, secondsInState: number, limits: Limits): Action {
  switch (state) {
    case "queued":
      return { do: "create" };
    case "starting":
      return decideStart(observed.pod, secondsInState, limits);
    case "running":
      return decideRun(observed.pod);
    case "suspending":
    case "suspended":
      return { do: "nothing" };
    case "stopping":
      return removal(observed) ?? { do: "apply", event: { type: "gone", keepSeconds: 0 } };
    case "stopped":
    case "failed":
      // There is something only if a worker that was stuck for long made it after the end.
      return removal(observed) ?? { do: "nothing" };
  }
}

/** How to come closer to nothing being left; undefined if nothing is left. */
function removal({ secret, claim, podObject }: Observed): Action | undefined {
  if (secret === "present") return { do: "remove" };
  if (secret === "deleting") return { do: "wait" };
  if (claim === "present" || podObject === "present") return { do: "remove" };
  if (claim === "deleting" || podObject === "deleting") return { do: "wait" };
  return undefined;
}

function decideStart(pod: PodView, seconds: number, limits: Limits): Action {
  if (pod.is === "ready") return { do: "apply", event: { type: "ready", podIp: pod.ip } };
  if (pod.is !== "pending") return decideRun(pod);
  const patience = pod.blocked
    ? Math.min(blockedPatienceSeconds, limits.startTimeoutSeconds)
    : limits.startTimeoutSeconds;
  if (seconds > patience) {
    return {
      do: "apply",
      event: { type: "fail", cause: "start-timeout", reason: `It did not start within ${patience} s. ${pod.reason}` },
    };
  }
  return { do: "apply", event: { type: "waiting", reason: pod.reason } };
}

function decideRun(pod: PodView): Action {
  switch (pod.is) {
    case "absent":
      return {
        do: "apply",
        event: {
          type: "fail",
          cause: "pod-lost",
          reason: "The session's pod was deleted by somebody or something outside Berth",
        },
      };
    case "broken":
      return { do: "apply", event: { type: "fail", cause: "agent-error", reason: pod.reason } };
    case "finished":
      return { do: "apply", event: { type: "stop", cause: "agent-exit", reason: pod.reason } };
    case "pending":
    case "ready":
      return { do: "nothing" };
  }
}
