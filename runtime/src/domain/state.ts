/**
 * The session's states and what may follow what; pure, no I/O.
 *
 *     queued ──admitted──▶ starting ──ready──▶ running ──suspend──▶ suspending ──vacated──▶ suspended
 *        ▲ └─────────◀──deferred──┘               └────displaced────▶──┘  │                     │
 *        └────────────────────────────────────────◀──vacated, resumes─────┴───────resume────◀───┘
 *
 *     each of these ──stop, fail──▶ stopping ──gone──▶ stopped | failed
 *
 * A session that ends goes through `stopping` whatever the cause, so a final state means: nothing of it runs, and nothing
 * but a workspace under retention is left. A resumed session waits for its turn in `queued` like a new one.
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

/** How a session ends: because somebody or the agent wanted it, or because something went wrong. */
export type Outcome = "stopped" | "failed";

export const finalStates = ["stopped", "failed"] as const satisfies State[];

export const isFinal = (state: State): boolean => finalStates.some((final) => final === state);

/** States in which a session has, or may have, a pod. They count against the tenant's `maxSessions` and its quota. */
export const podStates = ["starting", "running", "suspending", "stopping"] as const satisfies State[];

export const hasPod = (state: State): boolean => podStates.some((one) => one === state);

/** Why a session ended, for programs; `reason` says it to people. docs/sessions.md explains each. */
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
  /** It stays where it is, and this is what it waits for. `stalled`: only the cluster's room or a person helps. */
  | { type: "waiting"; reason: string; stalled?: boolean }
  /** It is its turn, which has this place in the order of turns: its objects may be made. */
  | { type: "admitted"; turn?: number }
  /** The cluster has no room under the tenant's quota: back into the queue. */
  | { type: "deferred"; reason: string }
  /** Its pod answers at this address. */
  | { type: "ready"; podIp: string }
  /** Its pod shall go and its workspace stay. */
  | { type: "suspend"; reason: string }
  /** Its pod has to leave its node; it shall come up again elsewhere with the same workspace. */
  | { type: "displaced"; reason: string }
  /** Its pod is gone, its workspace is there. */
  | { type: "vacated" }
  /** It shall come up again with the same workspace. */
  | { type: "resume"; reason: string }
  /** It shall end: asked for, or the agent is done. */
  | { type: "stop"; cause: Cause; reason: string }
  /** It can't go on. */
  | { type: "fail"; cause: Cause; reason: string }
  /** Nothing of it is left in the cluster but the workspace, which is kept for so many seconds; 0: not even that. */
  | { type: "gone"; keepSeconds: number };

/** The part of a session that a transition looks at and sets. */
export interface Status {
  state: State;
  /** For people: why it is in this state; null where the state says it all. */
  reason: string | null;
  /** Why it ends or has ended; null while it lives. */
  cause: Cause | null;
  endsAs: Outcome | null;
  podIp: string | null;
  /** While suspending: whether it is to come up again at once. */
  resumes: boolean;
  /** While starting: whether it can't get on by itself, so that it doesn't hold a place among the simultaneous starts. */
  stalled: boolean;
}

/** Nothing but `stop` and `fail` leads from here to the end. */
const isAlive = (state: State) => state !== "stopping" && state !== "stopped" && state !== "failed";

/**
 * What the session becomes by the event, or undefined where the event changes nothing: it came late, twice, or tells what
 * is known already. Nothing leads out of a final state, and nothing but `gone` out of `stopping`.
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
    case "waiting": {
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
      return isAlive(state) ? to("stopping", event.reason, { cause: event.cause, endsAs: "stopped" }) : undefined;
    case "fail":
      return isAlive(state) ? to("stopping", event.reason, { cause: event.cause, endsAs: "failed" }) : undefined;
    case "gone":
      return state === "stopping" ? to(status.endsAs ?? "stopped", status.reason) : undefined;
  }
}
