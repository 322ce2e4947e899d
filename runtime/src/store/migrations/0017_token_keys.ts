import { type Kysely, sql } from "kysely";

/**
 * The id of the key from which a session's tokens are made and by which its task is encrypted, the first key's for those of
 * before; and whether the session's pod has said that it has the task. Postgres adds both without writing a row.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sessions
      add column token_key smallint not null default 1,
      add column task_taken boolean not null default false`.execute(db);
}
