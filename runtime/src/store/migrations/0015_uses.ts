import { type Kysely, sql } from "kysely";

/** What people do in a session changes no state of it, so each of it comes under the version that the session has. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index session_events_once`.execute(db);
  await sql`
    create unique index session_events_once on session_events (session_id, version)
      where type not in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log')`.execute(db);
}
