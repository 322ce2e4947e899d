import { type Kysely, sql } from "kysely";

/** Adds whether a queued session waits for its own tenant's limits. Warm sessions make room for such sessions only. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column awaits_room boolean not null default false`.execute(db);
}
