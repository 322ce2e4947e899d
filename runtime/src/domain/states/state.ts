/**
 * The states of a session, and which state may follow which. Pure: no I/O.
 *
 *     queued ──admitted──▶ starting ──ready──▶ running ──suspend──▶ suspending ──vacated──▶ suspended
 *        ▲ └─────────◀──deferred──┘               └────displaced────▶──┘  │                     │
 *        └────────────────────────────────────────◀──vacated, resumes─────┴───────resume────◀───┘
 *
 *     each of these ──stop, fail──▶ stopping ──gone──▶ stopped | failed
 *
 * Every session that ends goes through `stopping`, whatever the cause. So a final state means that no object of the session
 * is left in the cluster, except a workspace that the tenant's `retention` keeps, and the session's Secret, which owns this
 * workspace. A resumed session waits in `queued` like a new one.
 */
export const states = [
  "queued",
  "starting",
  "running",
  "suspending",
  "suspended",
  "stopping",
  "stopped",
  "failed",
] as const;
export type State = (typeof states)[number];

/** How a session ends: `stopped` if a user, the agent, a limit or the config ended it, `failed` if something went wrong. */
export type Outcome = "stopped" | "failed";

export const finalStates = ["stopped", "failed"] as const satisfies State[];

/** The states of a session that has not ended. */
export const liveStates = [
  "queued",
  "starting",
  "running",
  "suspending",
  "suspended",
  "stopping",
] as const satisfies State[];

export const isFinal = (state: State): boolean => finalStates.some((final) => final === state);

/** The states of a session whose end has begun. */
export const endingStates = ["stopping", ...finalStates] as const satisfies State[];

export const isEnding = (state: State): boolean => endingStates.some((ending) => ending === state);

/**
 * States in which a session has a pod or may have one. These sessions count against the tenant's `maxSessions` and
 * quota.
 */
export const podStates = ["starting", "running", "suspending", "stopping"] as const satisfies State[];

export const hasPod = (state: State): boolean => podStates.some((one) => one === state);

/** Why a session ended, as a code for programs. `reason` is the text for users. docs/sessions.md explains each cause. */
export const causes = [
  "user",
  "idle",
  "max-lifetime",
  "agent-exit",
  "agent-error",
  "out-of-memory",
  "tenant-removed",
  "quota-removed",
  "node-drain",
  "evicted",
  "pod-lost",
  "workspace-lost",
  "start-timeout",
  "rejected",
] as const;
export type Cause = (typeof causes)[number];

export type SessionEvent =
  /**
   * The session stays in its state; `reason` says what the session waits for. `stalled`: the session needs cluster capacity
   * or a person's help. This event changes only the row: the audit trail does not record it, and the version stays.
   */
  | { type: "setReason"; reason: string; stalled?: boolean }
  /** The session leaves the queue: its objects may be created. `turn`: the turn of its start; see admissionPlan.ts. */
  | { type: "admitted"; turn?: number }
  /**
   * The cluster refused an object because of the tenant's quota, or no pod could be created within the start timeout. The
   * session is queued again.
   */
  | { type: "deferred"; reason: string }
  /** The session's pod is ready at this address. */
  | { type: "ready"; podIp: string }
  /** A user asked to suspend the session: Berth deletes the pod and keeps the workspace. */
  | { type: "suspend"; reason: string }
  /**
   * The pod has to leave its node. Berth deletes the pod, and starts the session again on another node with the same
   * workspace.
   */
  | { type: "displaced"; reason: string }
  /** The pod is gone, and the workspace is still there. */
  | { type: "vacated" }
  /** A user asked to start the session again with the same workspace. */
  | { type: "resume"; reason: string }
  /**
   * The session's end begins, because a user asked for it, a limit or the tenants file requires it, or the agent has
   * finished. The next state is `stopping`.
   */
  | { type: "stop"; cause: Cause; reason: string }
  /** The session's end begins, because something went wrong. The next state is `stopping`. */
  | { type: "fail"; cause: Cause; reason: string }
  /**
   * The cluster has no object of the session any more, except for a workspace that is kept for `keepSeconds` (0: none
   * is kept).
   */
  | { type: "gone"; keepSeconds: number };

/** The fields of a session that a transition reads and sets. */
export interface Status {
  state: State;
  /** Why the session is in this state, as a text for users; null if the state says enough. */
  reason: string | null;
  /** Why the session ends or has ended; null before its end begins. */
  cause: Cause | null;
  endsAs: Outcome | null;
  podIp: string | null;
  /** While suspending: whether the session starts again as soon as its pod is gone. */
  resumes: boolean;
  /**
   * While the session starts: whether it is blocked until the cluster has capacity or a person helps. A stalled session holds
   * no start slot.
   */
  stalled: boolean;
}

/**
 * The session's status after the event. Undefined if the event changes nothing, because the event came late, came twice,
 * or reports what is known already. No event leads out of a final state, and only `gone` leads out of `stopping`.
 */
export function transition(status: Status, event: SessionEvent): Status | undefined {
  const { state } = status;
  const to = (next: State, reason: string | null, changes: Partial<Status> = {}): Status => ({
    ...status,
    state: next,
    reason,
    podIp: null,
    resumes: false,
    stalled: false,
    ...changes,
  });
  switch (event.type) {
    case "setReason": {
      if (state !== "queued" && state !== "starting") return undefined;
      const stalled = state === "starting" && event.stalled === true;
      if (status.reason === event.reason && status.stalled === stalled) return undefined;
      return { ...status, reason: event.reason, stalled };
    }
    case "admitted":
      return state === "queued" ? to("starting", null) : undefined;
    case "deferred":
      return state === "starting" ? to("queued", event.reason) : undefined;
    case "ready":
      return state === "starting" ? to("running", null, { podIp: event.podIp }) : undefined;
    case "suspend":
      return state === "running" || (state === "suspending" && status.resumes)
        ? to("suspending", event.reason)
        : undefined;
    case "displaced":
      return state === "starting" || state === "running"
        ? to("suspending", event.reason, { resumes: true })
        : undefined;
    case "vacated":
      return state === "suspending" ? to(status.resumes ? "queued" : "suspended", status.reason) : undefined;
    case "resume":
      if (state === "suspended") return to("queued", event.reason);
      return state === "suspending" && !status.resumes ? { ...status, resumes: true } : undefined;
    case "stop":
      return isEnding(state) ? undefined : to("stopping", event.reason, { cause: event.cause, endsAs: "stopped" });
    case "fail":
      return isEnding(state) ? undefined : to("stopping", event.reason, { cause: event.cause, endsAs: "failed" });
    case "gone":
      return state === "stopping" ? to(status.endsAs ?? "stopped", status.reason) : undefined;
  }
}
