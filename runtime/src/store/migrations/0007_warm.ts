import { type Kysely, sql } from "kysely";

/** Sessions that are made ahead: the mark of what they are made from, until they are given out. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column warm text`.execute(db);
  await sql`create index sessions_warm on sessions (tenant, tier) where warm is not null`.execute(db);
}
