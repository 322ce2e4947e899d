import { type Kysely, sql } from "kysely";

/** Warm sessions: the hash of their pod template, until a user claims them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column warm text`.execute(db);
  await sql`create index sessions_warm on sessions (tenant, tier) where warm is not null`.execute(db);
}
