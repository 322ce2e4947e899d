import { type Kysely, sql } from "kysely";

/**
 * Adds the time of a session's last event `progress`. The statement that stores a report of progress reads it, so that a session
 * has few of these events, whichever processes get its reports. Postgres adds the column without rewriting rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column progress_logged_at timestamptz`.execute(db);
}
