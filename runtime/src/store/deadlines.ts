/** A session's time limits, as SQL over `sessions`: only the database's clock decides, whatever a process's own says. */
import { sql } from "kysely";

/** For how many seconds the session is in its state. */
export const secondsInState = sql<number>`extract(epoch from now() - state_since)::float8`;

/** Whether it runs and nothing has happened in it for its idle time-out and so many seconds more. */
export const idle = (moreSeconds: number) => sql<boolean>`coalesce(
  state = 'running'
    and greatest(last_active_at, state_since) + (idle_timeout_seconds + ${moreSeconds}) * interval '1 second' <= now(),
  false)`;

/** Whether it runs and has run for its maximum lifetime, all its runs added up, and so many seconds more. */
export const overLifetime = (moreSeconds: number) => sql<boolean>`coalesce(
  state = 'running'
    and ran_seconds + extract(epoch from now() - state_since) >= max_lifetime_seconds + ${moreSeconds},
  false)`;

export const isIdle = idle(0);
export const isOverLifetime = overLifetime(0);
