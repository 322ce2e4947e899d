/** A transition as the columns that it sets; the times are the database's. */
import { type RawBuilder, sql } from "kysely";
import { isFinal, type SessionEvent, type Status } from "../domain/state.ts";

const now = sql<Date>`now()`;
const inSeconds = (seconds: number | RawBuilder<number>) => sql<Date>`now() + ${seconds} * interval '1 second'`;

/** After how long a session that found no room may be tried again: not all at once. */
const retrySeconds = sql<number>`(4 + 4 * random())`;

export function changesOf(seen: Status, next: Status, event: SessionEvent) {
  return {
    state: next.state,
    reason: next.reason,
    cause: next.cause,
    ends_as: next.endsAs,
    pod_ip: next.podIp,
    resumes: next.resumes,
    stalled: next.stalled,
    ...(next.state !== seen.state && { state_since: now, queue_position: null, awaits_room: false, retry_at: null }),
    // Another pod will ask for the task.
    ...(next.state === "starting" && seen.state !== "starting" && { task_taken: false }),
    ...(event.type === "admitted" && event.turn !== undefined && { turn: event.turn }),
    ...(event.type === "deferred" && { retry_at: inSeconds(retrySeconds) }),
    ...(event.type === "ready" && { started_at: sql<Date>`coalesce(started_at, now())`, last_active_at: now }),
    ...(seen.state === "running" && {
      ran_seconds: sql<number>`ran_seconds + extract(epoch from now() - state_since)`,
    }),
    ...(isFinal(next.state) && seen.state === "stopping" && { ended_at: now }),
    // The task has the agent's secrets, which nobody needs any more.
    ...(isFinal(next.state) && { task: null }),
    ...(event.type === "gone" && {
      workspace_until: event.keepSeconds > 0 ? inSeconds(event.keepSeconds) : null,
    }),
  };
}
