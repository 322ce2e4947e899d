import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/**
 * An event of a use (command, file, desktop, ...) has the session's current version, because a use does not change the
 * session's state. So the new unique index leaves out these events. Until the old unique index is dropped, both indexes
 * apply. During that time, no version of the program writes the events that only the new index leaves out.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const changes = sql`session_events (session_id, version)
    where type not in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log')`;
  await addIndex(db, "session_events_by_change", changes, { unique: true });
  await sql`drop index concurrently if exists session_events_once`.execute(db);
}
