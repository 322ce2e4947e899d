import { type Kysely, sql } from "kysely";

/** Creates the table with the last part of each agent's log, because Kubernetes deletes the log itself with the pod. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table session_logs (
      session_id uuid primary key references sessions (id) on delete cascade,
      kept_at timestamptz not null default now(),
      log bytea not null
    )`.execute(db);
  await sql`create index session_logs_kept_at on session_logs (kept_at)`.execute(db);
}
