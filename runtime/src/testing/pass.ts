/** Lets time pass in the database of a test. */
import { sql } from "kysely";
import type { Database } from "../store/database.ts";

/** Moves the times from which statements compute how long ago something was: afterwards, this many more seconds have passed. */
export const pass = (database: Database, seconds: number) =>
  sql`update sessions set state_since = state_since - ${seconds} * interval '1 second',
    last_active_at = last_active_at - ${seconds} * interval '1 second',
    progress_logged_at = progress_logged_at - ${seconds} * interval '1 second',
    workspace_until = workspace_until - ${seconds} * interval '1 second'`.execute(database);
