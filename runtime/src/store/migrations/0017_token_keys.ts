import { type Kysely, sql } from "kysely";

/**
 * Adds two columns: the id of the key that signs the session's tokens and from which the key of its task is derived, and
 * whether the session's pod has confirmed that it has the task. Existing sessions get the id of the first key. Postgres adds
 * both columns without rewriting rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sessions
      add column token_key smallint not null default 1,
      add column task_taken boolean not null default false`.execute(db);
}
