import { type Kysely, sql } from "kysely";

/** Adds the columns for suspend and resume, the task, time limits, the retention of workspaces, and the order in the queue. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sessions
      drop constraint sessions_state_check,
      add constraint sessions_state_check check (state in
        ('queued', 'starting', 'running', 'suspending', 'suspended', 'stopping', 'stopped', 'failed')),
      add column labels jsonb not null default '{}',
      add column task text,
      add column request_hash text,
      add column priority smallint not null default 50 check (priority between 0 and 100),
      add column idle_timeout_seconds integer check (idle_timeout_seconds > 0),
      add column max_lifetime_seconds integer check (max_lifetime_seconds > 0),
      add column workspace_mode text not null default 'persistent' check (workspace_mode in ('persistent', 'ephemeral')),
      add column workspace_until timestamptz,
      add column cause text,
      add column resumes boolean not null default false,
      add column stalled boolean not null default false,
      add column queue_position integer,
      add column retry_at timestamptz,
      add column last_active_at timestamptz,
      add column started_at timestamptz,
      add column ended_at timestamptz,
      add column ran_seconds double precision not null default 0,
      add column progress jsonb`.execute(db);
  await sql`create index sessions_workspaces on sessions (workspace_until) where workspace_until is not null`.execute(
    db,
  );
  await sql`create index sessions_queue on sessions (tenant) where state = 'queued'`.execute(db);
  // A progress event does not change the session's state, so the event has the version that the session already has.
  await sql`alter table session_events drop constraint session_events_once`.execute(db);
  await sql`
    create unique index session_events_once on session_events (session_id, version) where type <> 'progress'`.execute(
    db,
  );
  await sql`create index session_events_by_session on session_events (session_id, id)`.execute(db);
}
