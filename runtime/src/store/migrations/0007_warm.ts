import { type Kysely, sql } from "kysely";

/** Adds the hash of the pod template of a warm session. The value is null as soon as a user has claimed the session. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column warm text`.execute(db);
  await sql`create index sessions_warm on sessions (tenant, tier) where warm is not null`.execute(db);
}
