/**
 * A session's time limits as SQL over `sessions`, because only the database's clock decides, not the clock of a
 * process.
 */
import { sql } from "kysely";

/** How many seconds the session has been in its state. */
export const secondsInState = sql<number>`extract(epoch from now() - state_since)::float8`;

/** Whether a new activity of the session is written. One write in 5 s is enough, because idle time-outs are longer. */
export const isActivityDue = sql<boolean>`coalesce(last_active_at < now() - interval '5 seconds', true)`;

/** Whether the session runs and has been without activity for its idle time-out plus `moreSeconds`. */
export const idle = (moreSeconds: number) => sql<boolean>`coalesce(
  state = 'running'
    and greatest(last_active_at, state_since) + (idle_timeout_seconds + ${moreSeconds}) * interval '1 second' <= now(),
  false)`;

/**
 * Whether the session runs and has run for its maximum lifetime plus `moreSeconds`. The times of all its runs count.
 */
export const overLifetime = (moreSeconds: number) => sql<boolean>`coalesce(
  state = 'running'
    and ran_seconds + extract(epoch from now() - state_since) >= max_lifetime_seconds + ${moreSeconds},
  false)`;

export const isIdle = idle(0);
export const isOverLifetime = overLifetime(0);
