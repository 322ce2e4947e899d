import { type Kysely, sql } from "kysely";

/** Like progress, a command is no change of the session's state, so it comes under the version that the session has. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index session_events_once`.execute(db);
  await sql`
    create unique index session_events_once on session_events (session_id, version)
      where type not in ('progress', 'command')`.execute(db);
}
