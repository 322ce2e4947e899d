/**
 * The session's states and what may follow what; pure, no I/O.
 *
 *     queued ──started──▶ starting ──ready──▶ running
 *        └──────────────────┴─── stop, fail ────┴──▶ stopping ──gone──▶ stopped | failed
 *
 * A session that ends goes through `stopping` whatever the cause, so a final state means: nothing is left in the cluster.
 */
export const states = ["queued", "starting", "running", "stopping", "stopped", "failed"] as const;
export type State = (typeof states)[number];

/** How a session ends: because somebody or the agent wanted it, or because something went wrong. */
export type Outcome = "stopped" | "failed";

export const finalStates = ["stopped", "failed"] as const satisfies State[];

export type SessionEvent =
  /** It stays where it is, and this is what it waits for. */
  | { type: "waiting"; reason: string }
  /** Its objects exist in the cluster. */
  | { type: "started" }
  /** Its pod answers at this address. */
  | { type: "ready"; podIp: string }
  /** It shall end: asked for, or the agent is done. */
  | { type: "stop"; reason: string }
  /** It can't go on. */
  | { type: "fail"; reason: string }
  /** Nothing of it is left in the cluster. */
  | { type: "gone" };

/** The part of a session that a transition looks at and sets. */
export interface Status {
  state: State;
  /** For people: why it is in this state; null where the state says it all. */
  reason: string | null;
  endsAs: Outcome | null;
  podIp: string | null;
}

/**
 * What the session becomes by the event, or undefined where the event changes nothing: it came late, twice, or tells what
 * is known already. Nothing leads out of a final state, and nothing but `gone` out of `stopping`.
 */
export function transition(status: Status, event: SessionEvent): Status | undefined {
  const { state } = status;
  const alive = state === "queued" || state === "starting" || state === "running";
  switch (event.type) {
    case "waiting":
      return (state === "queued" || state === "starting") && status.reason !== event.reason
        ? { ...status, reason: event.reason }
        : undefined;
    case "started":
      return state === "queued" ? { ...status, state: "starting", reason: null } : undefined;
    case "ready":
      return state === "starting" ? { ...status, state: "running", reason: null, podIp: event.podIp } : undefined;
    case "stop":
      return alive ? { state: "stopping", reason: event.reason, endsAs: "stopped", podIp: null } : undefined;
    case "fail":
      return alive ? { state: "stopping", reason: event.reason, endsAs: "failed", podIp: null } : undefined;
    case "gone":
      return state === "stopping" ? { ...status, state: status.endsAs ?? "stopped" } : undefined;
  }
}
