import { type Kysely, sql } from "kysely";

/** Adds the turn in which each session was admitted, so that the fair order continues after a restart. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column turn integer`.execute(db);
  await sql`create index sessions_turns on sessions (turn) where turn is not null`.execute(db);
}
