import { type Kysely, sql } from "kysely";

/** The order in which sessions were let out of the queue, so that fairness remembers who came last. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column turn integer`.execute(db);
  await sql`create index sessions_turns on sessions (turn) where turn is not null`.execute(db);
}
