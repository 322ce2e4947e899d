import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/**
 * What people do in a session changes no state of it, so each of it comes under the version that the session has. Until the old
 * index has gone, both hold; nobody writes such lines before.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const changes = sql`session_events (session_id, version)
    where type not in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log')`;
  await addIndex(db, "session_events_by_change", changes, { unique: true });
  await sql`drop index concurrently if exists session_events_once`.execute(db);
}
