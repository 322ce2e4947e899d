/** Fills a database with the history of many sessions. */
import { gzipSync } from "node:zlib";
import { sql } from "kysely";
import type { Database } from "../store/database.ts";

export interface OldRows {
  /** How many ended sessions to add for the tenant `acme`. One of a hundred failed. */
  ended: number;
  /** How many other tenants to add. Together they get a tenth as many ended sessions, and each a live one. Default: 20 */
  tenants?: number;
  /** The ended sessions began one after the other within this many days. Default: 100 */
  days?: number;
  /** Whether the usage of the ended sessions is counted, except for those that ended in the last 40 minutes. Default: false */
  isCounted?: boolean;
}

const tables = ["sessions", "session_events", "webhook_deliveries", "session_logs", "grants"] as const;

/**
 * Adds ended sessions and 200 live sessions of the tenant `acme`. Each ended session has the label `team: blue`, a label
 * `run` that no other session has, an idempotency key, the events of three changes and two uses, a dead delivery, a log and an
 * expired ticket. Then Postgres analyzes the tables. 200,000 sessions take some 25 seconds, because the indexes are made
 * again after the rows, and Postgres does not check the references between the rows. The database's user must be a superuser.
 */
export const addOldRows = (database: Database, rows: OldRows): Promise<void> =>
  database.connection().execute(async (connection) => {
    const settings = { statement_timeout: "0", maintenance_work_mem: "512MB", session_replication_role: "replica" };
    for (const [name, value] of Object.entries(settings))
      await sql`select set_config(${name}, ${value}, false)`.execute(connection);
    await add(connection, rows);
    for (const name of Object.keys(settings)) await sql`reset ${sql.raw(name)}`.execute(connection);
  });

async function add(database: Database, { ended, tenants = 20, days = 100, isCounted = false }: OldRows): Promise<void> {
  const total = ended + Math.floor(ended / 10);
  const { rows: indexes } = await sql<{ name: string; definition: string }>`
    select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
    where indrelid = any(${tables}::regclass[])
      and not exists (select from pg_constraint where conindid = indexrelid)`.execute(database);
  for (const { name } of indexes) await sql`drop index ${sql.ref(name)}`.execute(database);
  await sql`
    insert into sessions (
      id, tenant, namespace, tier, state, labels, idempotency_key, request_hash, created_at, started_at, state_since,
      ended_at, updated_at, version, usage_counted)
    select gen_random_uuid(), tenant, 'tenant-' || tenant, case when n % 50 = 0 then 'large' else 'small' end,
      case when n % 100 = 0 then 'failed' else 'stopped' end,
      jsonb_build_object('team', 'blue', 'run', n::text), 'key-' || n, 'hash', began, began, ended, ended, ended, 5,
      ${isCounted}::boolean and ended < now() - interval '40 minutes'
    from (
      select n, case when n % 11 = 0 then 'other-' || n / 11 % ${tenants}::integer else 'acme' end as tenant,
        now() - (1 - n / ${total}::float8) * ${days} * interval '1 day' - interval '1 hour' as began
      from generate_series(1, ${total}::integer) as n
    ) as one, lateral (select began + interval '30 minutes' as ended) as its_end`.execute(database);
  await sql`
    insert into session_events (session_id, tenant, at, type, state, version, actor)
    select id, tenant, created_at + step * interval '5 minutes', kind, case when step < 5 then 'running' else state end,
      step, 'worker'
    from sessions, unnest(array['created', 'ready', 'file', 'command', 'gone']) with ordinality as steps (kind, step)
    where ended_at is not null`.execute(database);
  await sql`
    insert into webhook_deliveries (tenant, url, event_id, state, created_at)
    select tenant, 'https://hooks.example/' || tenant, id, 'dead', at
    from session_events where type = 'gone'`.execute(database);
  await sql`
    insert into session_logs (session_id, kept_at, log)
    select id, ended_at, ${gzipSync("log")} from sessions where ended_at is not null`.execute(database);
  await sql`
    insert into grants (id, session_id, kind, access, made_by, made_at, expires_at)
    select gen_random_uuid(), id, 'desktop', 'view', 'key:default', started_at, ended_at
    from sessions where ended_at is not null`.execute(database);
  await sql`
    insert into sessions (id, tenant, namespace, tier, state, labels, started_at, last_active_at)
    select gen_random_uuid(), tenant, 'tenant-' || tenant, 'small',
      (array['queued', 'starting', 'running', 'suspended'])[1 + n % 4], '{"team": "blue"}', now(), now()
    from (
      select n, case when n <= 200 then 'acme' else 'other-' || n % ${tenants}::integer end as tenant
      from generate_series(1, 200 + ${tenants}::integer) as n) as one`.execute(database);
  await sql`update webhook_position set event_id = newest, settled_id = newest
    from (select max(id) as newest from session_events) as last`.execute(database);
  for (const { definition } of indexes) await sql.raw(definition).execute(database);
  for (const table of tables) await sql`vacuum analyze ${sql.table(table)}`.execute(database);
}
