import { type Kysely, sql } from "kysely";

/** Desktop tickets and file links, kept until some minutes after their end, so that they can be listed and revoked. */
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
