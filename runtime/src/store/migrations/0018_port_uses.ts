import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/** Events of the type `port` are uses too, which do not change the session's state; see 0015. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const changes = sql`session_events (session_id, version)
    where type not in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log', 'port')`;
  await addIndex(db, "session_events_of_changes", changes, { unique: true });
  await sql`drop index concurrently if exists session_events_by_change`.execute(db);
}
