import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";
import { alterTable } from "./alterTable.ts";

export const transaction = false;

/**
 * Adds what the deletion of old records needs: the table with the usage of ended sessions by day, the column that says whether
 * a session's usage is part of these days, and indexes that find each tenant's oldest records. Also adds indexes for lists of
 * sessions by state or label, and for counts of the sessions that have not ended. Postgres adds the column
 * without rewriting rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await alterTable(db, sql`alter table sessions add column if not exists usage_counted boolean not null default false`);
  await sql`
    create table if not exists usage_days (
      tenant text not null,
      day date not null,
      tier text not null,
      seconds double precision not null,
      primary key (tenant, day, tier)
    )`.execute(db);
  // The label filter of a list needs the tenant too, because other tenants may have the same label on millions of sessions.
  await sql`
    create or replace function label_terms(tenant text, labels jsonb) returns text[]
      language sql immutable strict parallel safe
      as $$ select array_agg(tenant || '/' || key || '=' || value) from jsonb_each_text(labels) $$`.execute(db);
  await addIndex(
    db,
    "sessions_labels",
    sql`sessions using gin (label_terms(tenant, labels)) where labels <> '{}'::jsonb`,
  );
  // With these statistics, Postgres estimates how many sessions have a label. The partial index has none.
  await sql`
    create statistics if not exists sessions_label_terms on (label_terms(tenant, labels)) from sessions`.execute(db);
  await addIndex(db, "sessions_of_state", sql`sessions (tenant, state, created_at desc, id desc)`);
  await addIndex(
    db,
    "sessions_live",
    sql`sessions (tenant, state) where warm is null and state not in ('stopped', 'failed')`,
  );
  await addIndex(db, "sessions_uncounted", sql`sessions (tenant, ended_at) where not usage_counted`);
  await addIndex(
    db,
    "sessions_ended",
    sql`sessions (tenant, ended_at) where ended_at is not null and workspace_until is null`,
  );
  await addIndex(db, "sessions_keys", sql`sessions (tenant, created_at) where idempotency_key is not null`);
  await addIndex(
    db,
    "sessions_ended_tasks",
    sql`sessions (id) where task is not null and state in ('stopped', 'failed')`,
  );
  await addIndex(
    db,
    "sessions_spares",
    sql`sessions (tenant, tier, created_at) where warm is not null and state = 'running'`,
  );
  await addIndex(db, "sessions_warm_made", sql`sessions (created_at) where warm is not null`);
  await addIndex(db, "webhook_deliveries_of_tenant", sql`webhook_deliveries (tenant, created_at, id)`);
  // Fills the statistics now; later Postgres does so by itself.
  await sql`analyze sessions`.execute(db);
}
