/** What to do next for a session: a pure function of what should be (the row) and what is (the cluster). */
import type { PodView } from "./podView.ts";
import type { Session, TimedSession } from "./session.ts";
import type { Cause, SessionEvent } from "./state.ts";
import type { Tenant } from "./tenants.ts";

export type ObjectState = "absent" | "present" | "deleting";

/** What the cluster has of a session. */
export interface Observed {
  /** What the pod says. */
  pod: PodView;
  podObject: ObjectState;
  /** Tells this pod from a later one of the same name; undefined if there is none. */
  podUid: string | undefined;
  /** The owner of the other two. */
  secret: ObjectState;
  claim: ObjectState;
}

export type Action =
  /** Make its objects, as far as they are missing. */
  | { do: "create" }
  /** Delete its pod and leave the workspace. */
  | { do: "removePod" }
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

const nothing: Action = { do: "nothing" };
const apply = (event: SessionEvent): Action => ({ do: "apply", event });
const stop = (cause: Cause, reason: string) => apply({ type: "stop", cause, reason });
const fail = (cause: Cause, reason: string) => apply({ type: "fail", cause, reason });

/** For a session that isn't ending yet: whether it has to end, whatever the cluster says. `tenant`: undefined if it is closed. */
export function decideEnd(seen: TimedSession, tenant: Tenant | undefined): Action | undefined {
  const { session } = seen;
  if (tenant === undefined) return stop("tenant-removed", `The tenant ${session.tenant} is being removed`);
  if (tenant.maxSessions === 0) return stop("quota-removed", "The tenant may not have sessions any more");
  if (seen.isOverLifetime) {
    return stop("max-lifetime", `It has run for its maximum lifetime of ${session.maxLifetimeSeconds} s`);
  }
  if (seen.isIdle) return stop("idle", `Nothing happened in it for ${session.idleTimeoutSeconds} s`);
  return undefined;
}

/** For a session in `starting`. */
export function decideStart(
  { secondsInState }: Pick<TimedSession, "secondsInState">,
  { pod }: Pick<Observed, "pod">,
  { startTimeoutSeconds }: Limits,
): Action {
  const late = secondsInState > startTimeoutSeconds;
  switch (pod.is) {
    case "ready":
      return apply({ type: "ready", podIp: pod.ip });
    case "absent":
      // Late here means that the cluster could not be asked for long: the start begins anew.
      return late
        ? apply({ type: "deferred", reason: "It could not be started; it is tried again" })
        : { do: "create" };
    case "pending": {
      const patience =
        pod.needs === "help" ? Math.min(blockedPatienceSeconds, startTimeoutSeconds) : startTimeoutSeconds;
      if (secondsInState > patience) {
        const cause = pod.needs === "help" ? "rejected" : "start-timeout";
        return fail(cause, `It did not start within ${patience} s. ${pod.reason}`);
      }
      return apply({ type: "waiting", reason: pod.reason, stalled: pod.needs !== "time" });
    }
    // Nothing was lost yet, so it is made again as soon as this pod is gone.
    case "displaced":
    case "leaving":
      return late
        ? fail("start-timeout", `It did not start within ${startTimeoutSeconds} s. ${pod.reason}`)
        : { do: "removePod" };
    case "finished":
      return stop("agent-exit", pod.reason);
    case "broken":
      return fail(pod.cause, pod.reason);
  }
}

/** For a session in `running`. */
export function decideRun(session: Session, { pod }: Pick<Observed, "pod">, tenant: Tenant | undefined): Action {
  switch (pod.is) {
    case "ready":
    case "pending":
      return nothing;
    case "absent":
      return fail("pod-lost", "The session's pod was deleted by somebody or something outside Berth");
    case "leaving":
      return fail("pod-lost", pod.reason);
    case "displaced":
      return apply(drained(session, pod.reason, tenant));
    case "finished":
      return stop("agent-exit", pod.reason);
    case "broken":
      return fail(pod.cause, pod.reason);
  }
}

/** What becomes of a running session whose node can't have it any more: by the tenant's wish, if its workspace lasts. */
export function drained(session: Session, reason: string, tenant: Tenant | undefined): SessionEvent {
  return tenant?.onDrain === "resume" && session.workspaceMode === "persistent"
    ? { type: "displaced", reason }
    : { type: "fail", cause: "node-drain", reason };
}

/** For a session that goes, has gone, or is suspended. `retentionSeconds`: how long the tenant keeps workspaces. */
export function decideDown(session: Session, observed: Observed, retentionSeconds: number): Action {
  switch (session.state) {
    case "suspending":
      return withoutPod(observed) ?? withWorkspace(observed) ?? apply({ type: "vacated" });
    case "suspended":
      return withoutPod(observed) ?? withWorkspace(observed) ?? nothing;
    case "stopping": {
      const keepSeconds = hasWorkspace(session, observed) ? retentionSeconds : 0;
      const more = keepSeconds > 0 ? withoutPod(observed) : removal(observed);
      return more ?? apply({ type: "gone", keepSeconds });
    }
    // There is something only if it is kept, or if a worker that was stuck for long made it after the end.
    case "stopped":
    case "failed":
      return (session.workspaceUntil !== null ? withoutPod(observed) : removal(observed)) ?? nothing;
    default:
      return nothing;
  }
}

/** Something can be in it: it has been up, and it is a volume that is still there. */
const hasWorkspace = (session: Session, { secret, claim }: Observed) =>
  session.workspaceMode === "persistent" && session.startedAt !== null && secret === "present" && claim === "present";

/** How to come closer to no pod; undefined if there is none. */
function withoutPod({ podObject }: Observed): Action | undefined {
  if (podObject === "present") return { do: "removePod" };
  return podObject === "deleting" ? { do: "wait" } : undefined;
}

function withWorkspace({ secret, claim }: Observed): Action | undefined {
  return secret === "present" && claim === "present"
    ? undefined
    : fail("workspace-lost", "The session's workspace was deleted by somebody or something outside Berth");
}

/** How to come closer to nothing being left; undefined if nothing is left. */
function removal({ secret, claim, podObject }: Observed): Action | undefined {
  if (secret === "present") return { do: "remove" };
  if (secret === "deleting") return { do: "wait" };
  if (claim === "present" || podObject === "present") return { do: "remove" };
  if (claim === "deleting" || podObject === "deleting") return { do: "wait" };
  return undefined;
}
