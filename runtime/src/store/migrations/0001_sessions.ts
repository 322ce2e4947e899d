import { type Kysely, sql } from "kysely";

/** Creates the tables of the sessions and of their audit trail. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table sessions (
      id uuid primary key,
      tenant text not null,
      namespace text not null,
      tier text not null,
      state text not null check (state in ('queued', 'starting', 'running', 'stopping', 'stopped', 'failed')),
      reason text,
      ends_as text check (ends_as in ('stopped', 'failed')),
      pod_ip text,
      idempotency_key text,
      version integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      state_since timestamptz not null default now(),
      constraint sessions_idempotency unique (tenant, idempotency_key)
    )`.execute(db);
  await sql`create index sessions_by_tenant on sessions (tenant, created_at desc, id desc)`.execute(db);
  await sql`create index sessions_unfinished on sessions (id) where state not in ('stopped', 'failed')`.execute(db);
  await sql`
    create table session_events (
      id bigint generated always as identity primary key,
      session_id uuid not null references sessions (id),
      at timestamptz not null default now(),
      type text not null,
      state text not null,
      reason text,
      version integer not null,
      actor text not null,
      address inet,
      constraint session_events_once unique (session_id, version)
    )`.execute(db);
}
