/**
 * Decides the next step for a session from the desired state (the row) and the observed state (the cluster). Pure: no
 * I/O.
 */

import type { Session, TimedSession } from "../session.ts";
import type { Tenant } from "../tenants.ts";
import type { PodView } from "./podView.ts";
import type { Cause, SessionEvent } from "./state.ts";

export type ObjectState = "absent" | "present" | "deleting";

/** The state of the session's objects in the cluster. */
export interface Observed {
  /** What the pod's status means for the session. */
  pod: PodView;
  podObject: ObjectState;
  /** The pod's UID, which differs from the UID of a later pod with the same name; undefined if there is no pod. */
  podUid: string | undefined;
  /**
   * How many seconds ago the pod's deletion should have been complete, because its grace period was over, by this process's clock.
   * Negative: the grace period lasts longer. Undefined: the pod is not being deleted.
   */
  podOverdueSeconds: number | undefined;
  /** The session's Secret, which owns the pod and the volume claim. */
  secret: ObjectState;
  volumeClaim: ObjectState;
}

export type Action =
  /** Create those of the session's objects that are missing. */
  | { do: "create" }
  /** Delete the pod and keep the workspace. */
  | { do: "removePod" }
  /** Remove the pod object without waiting until the pod's node confirms that the containers have ended. */
  | { do: "forcePod" }
  /** Delete all objects of the session. */
  | { do: "remove" }
  /** Apply the event to the row. */
  | { do: "apply"; event: SessionEvent }
  /** The cluster is still deleting objects: reconcile again soon. */
  | { do: "wait" }
  /** The cluster has what the row asks for. */
  | { do: "nothing" };

export interface Limits {
  /** How many seconds a session may take from `starting` to `running`. */
  startTimeoutSeconds: number;
  /** After how many seconds of an overdue deletion a pod's node counts as dead; 0: never. */
  deadNodeSeconds: number;
}

/** How many seconds a session may be in `starting` if its pod needs a person's help, for example because an image is missing. */
const blockedPatienceSeconds = 60;

const nothing: Action = { do: "nothing" };
const apply = (event: SessionEvent): Action => ({ do: "apply", event });
const stop = (cause: Cause, reason: string) => apply({ type: "stop", cause, reason });
const fail = (cause: Cause, reason: string) => apply({ type: "fail", cause, reason });

/**
 * The action that ends the session because of a limit or the config, whatever the cluster reports; undefined: the session
 * does not end. Only for a session that is not ending yet. `tenant` is undefined if the tenant is closed.
 */
export function decideEnd(timed: TimedSession, tenant: Tenant | undefined): Action | undefined {
  const { session } = timed;
  if (tenant === undefined) return stop("tenant-removed", `The tenant ${session.tenant} is being removed`);
  if (tenant.maxSessions === 0) return stop("quota-removed", "The tenant may not have sessions any more");
  if (timed.isOverLifetime) {
    return stop("max-lifetime", `The session has run for its maximum lifetime of ${session.maxLifetimeSeconds} s`);
  }
  if (timed.isIdle) return stop("idle", `The session had no activity for ${session.idleTimeoutSeconds} s`);
  return undefined;
}

/** The next step for a session in `starting`. */
export function decideStart(
  { secondsInState }: Pick<TimedSession, "secondsInState">,
  { pod }: Pick<Observed, "pod">,
  { startTimeoutSeconds }: Pick<Limits, "startTimeoutSeconds">,
): Action {
  const late = secondsInState > startTimeoutSeconds;
  switch (pod.is) {
    case "ready":
      return apply({ type: "ready", podIp: pod.ip });
    case "absent":
      // If there is still no pod after this time, the cluster could not create the pod, or did not answer. So the session is
      // queued again.
      return late
        ? apply({ type: "deferred", reason: "The session could not be started; the start is tried again" })
        : { do: "create" };
    case "pending": {
      const patience =
        pod.needs === "help" ? Math.min(blockedPatienceSeconds, startTimeoutSeconds) : startTimeoutSeconds;
      if (secondsInState > patience) {
        const cause = pod.needs === "help" ? "rejected" : "start-timeout";
        return fail(cause, `The session did not start within ${patience} s. ${pod.reason}`);
      }
      return apply({ type: "setReason", reason: pod.reason, stalled: pod.needs !== "time" });
    }
    // The session does not run yet, so no work is lost: the pod is created again as soon as this one is gone.
    case "displaced":
    case "leaving":
      return late
        ? fail("start-timeout", `The session did not start within ${startTimeoutSeconds} s. ${pod.reason}`)
        : { do: "removePod" };
    case "finished":
      return stop("agent-exit", pod.reason);
    case "broken":
      return fail(pod.cause, pod.reason);
  }
}

/** The next step for a session in `running`. */
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

/**
 * The event for a running session whose pod has to leave its node. The session resumes if the tenant's `onDrain` is `resume`
 * and the workspace is persistent; otherwise the session fails.
 */
export function drained(session: Session, reason: string, tenant: Tenant | undefined): SessionEvent {
  return tenant?.onDrain === "resume" && session.workspaceMode === "persistent"
    ? { type: "displaced", reason }
    : { type: "fail", cause: "node-drain", reason };
}

/**
 * Whether to remove the session's pod by force, because its node does not confirm that the pod's containers have ended. The
 * database's clock has to agree that the state has lasted so long, because the clock of this process may be wrong.
 */
export function isNodeDead(
  { secondsInState }: Pick<TimedSession, "secondsInState">,
  { podOverdueSeconds = 0 }: Pick<Observed, "podOverdueSeconds">,
  { deadNodeSeconds }: Pick<Limits, "deadNodeSeconds">,
): boolean {
  return deadNodeSeconds > 0 && Math.min(secondsInState, podOverdueSeconds) > deadNodeSeconds;
}

/**
 * The next step for a session in `suspending`, `suspended`, `stopping` or a final state. `retentionSeconds`: how long the
 * workspace of an ended session is kept.
 */
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
    // A final session has objects only if its workspace is kept, or if a worker that was stuck created objects after the end.
    case "stopped":
    case "failed":
      return (session.workspaceUntil !== null ? withoutPod(observed) : removal(observed)) ?? nothing;
    default:
      return nothing;
  }
}

/** Whether the workspace may contain files, because the session has run and its volume still exists. */
const hasWorkspace = (session: Session, { secret, volumeClaim }: Observed) =>
  session.workspaceMode === "persistent" &&
  session.startedAt !== null &&
  secret === "present" &&
  volumeClaim === "present";

/** The next step until the pod is gone; undefined if there is no pod. */
function withoutPod({ podObject }: Observed): Action | undefined {
  if (podObject === "present") return { do: "removePod" };
  return podObject === "deleting" ? { do: "wait" } : undefined;
}

function withWorkspace({ secret, volumeClaim }: Observed): Action | undefined {
  return secret === "present" && volumeClaim === "present"
    ? undefined
    : fail("workspace-lost", "The session's workspace was deleted by somebody or something outside Berth");
}

/** The next step until all objects are gone; undefined if none is left. */
function removal({ secret, volumeClaim, podObject }: Observed): Action | undefined {
  if (secret === "present") return { do: "remove" };
  if (secret === "deleting") return { do: "wait" };
  if (volumeClaim === "present" || podObject === "present") return { do: "remove" };
  if (volumeClaim === "deleting" || podObject === "deleting") return { do: "wait" };
  return undefined;
}
