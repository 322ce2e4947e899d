import { type Kysely, sql } from "kysely";

/** A command event does not change the session's state, so the event has the version that the session already has. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index session_events_once`.execute(db);
  await sql`
    create unique index session_events_once on session_events (session_id, version)
      where type not in ('progress', 'command')`.execute(db);
}
