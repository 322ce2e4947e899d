import { type Kysely, sql } from "kysely";

/** Creates the table of desktop tickets and file links. A row stays until some minutes after the end of its ticket or link. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table grants (
      id uuid primary key,
      session_id uuid not null references sessions (id) on delete cascade,
      kind text not null check (kind in ('desktop', 'file')),
      access text not null,
      path text,
      made_by text not null,
      address inet,
      made_at timestamptz not null default now(),
      expires_at timestamptz not null,
      revoked_at timestamptz
    )`.execute(db);
  await sql`create index grants_of_session on grants (session_id, made_at)`.execute(db);
  await sql`create index grants_expires_at on grants (expires_at)`.execute(db);
}
