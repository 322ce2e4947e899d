import { type Kysely, sql } from "kysely";

/** Creates the table of the webhook deliveries that are pending or have failed, and the table of the position. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_deliveries (
      id uuid primary key default gen_random_uuid(),
      tenant text not null,
      url text not null,
      event_id bigint not null references session_events (id) on delete cascade,
      state text not null default 'pending' check (state in ('pending', 'dead')),
      attempts integer not null default 0,
      next_at timestamptz not null default now(),
      last_error text,
      created_at timestamptz not null default now(),
      constraint webhook_deliveries_once unique (event_id, url)
    )`.execute(db);
  await sql`create index webhook_deliveries_due on webhook_deliveries (next_at) where state = 'pending'`.execute(db);
  await sql`create index webhook_deliveries_listed on webhook_deliveries (created_at desc, id desc)`.execute(db);
  // One row: the last event that has been turned into deliveries. Events from before this migration are not delivered.
  await sql`
    create table webhook_position (
      singleton boolean primary key default true check (singleton),
      event_id bigint not null
    )`.execute(db);
  await sql`insert into webhook_position (event_id) select coalesce(max(id), 0) from session_events`.execute(db);
}
