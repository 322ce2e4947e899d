import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/**
 * A use does not change the session's state, so its event has the version that the session already has. Until the old
 * unique index is dropped, both indexes apply; no version writes such events before that.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const changes = sql`session_events (session_id, version)
    where type not in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log')`;
  await addIndex(db, "session_events_by_change", changes, { unique: true });
  await sql`drop index concurrently if exists session_events_once`.execute(db);
}
