/** The columns that a transition sets. All times come from the database's clock. */
import { type RawBuilder, sql } from "kysely";
import { isFinal, type SessionEvent, type Status } from "../domain/states/state.ts";

const now = sql<Date>`now()`;
const inSeconds = (seconds: number | RawBuilder<number>) => sql<Date>`now() + ${seconds} * interval '1 second'`;

/**
 * How many seconds Berth waits before it tries again to start a session that was queued again (`deferred`). The random part
 * spreads the retries.
 */
const retrySeconds = sql<number>`(4 + 4 * random())`;

export function changesOf(before: Status, next: Status, event: SessionEvent) {
  return {
    state: next.state,
    reason: next.reason,
    cause: next.cause,
    ends_as: next.endsAs,
    pod_ip: next.podIp,
    resumes: next.resumes,
    stalled: next.stalled,
    ...(next.state !== before.state && { state_since: now, queue_position: null, awaits_room: false, retry_at: null }),
    // The session gets a new pod, which does not have the task yet and will ask for it.
    ...(next.state === "starting" && before.state !== "starting" && { task_taken: false }),
    ...(event.type === "admitted" && event.turn !== undefined && { turn: event.turn }),
    ...(event.type === "deferred" && { retry_at: inSeconds(retrySeconds) }),
    ...(event.type === "ready" && { started_at: sql<Date>`coalesce(started_at, now())`, last_active_at: now }),
    ...(before.state === "running" && {
      ran_seconds: sql<number>`ran_seconds + extract(epoch from now() - state_since)`,
    }),
    ...(isFinal(next.state) && before.state === "stopping" && { ended_at: now }),
    // The task contains the agent's secrets, and no pod needs it any more.
    ...(isFinal(next.state) && { task: null }),
    ...(event.type === "gone" && {
      workspace_until: event.keepSeconds > 0 ? inSeconds(event.keepSeconds) : null,
    }),
  };
}
