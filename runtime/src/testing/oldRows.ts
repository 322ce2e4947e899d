/** Fills a database with the history of many sessions. */
import { sql } from "kysely";
import type { Database } from "../store/database.ts";

export interface OldRows {
  /** How many ended sessions to add for the tenant `acme`. One of a hundred failed. */
  ended: number;
  /** How many other tenants to add. Together they get a tenth as many ended sessions, and each a live one. Default: 20 */
  tenants?: number;
  /** The ended sessions began at random times within this many days. Default: 100 */
  days?: number;
}

/**
 * Adds ended sessions and 200 live sessions of the tenant `acme`. Each ended session has the label `team: blue`, a label
 * `run` that no other session has, an idempotency key, the events of three changes and two uses, and a dead delivery. Then
 * Postgres analyzes the tables. 100,000 sessions take some ten seconds.
 */
export const addOldRows = (database: Database, rows: OldRows): Promise<void> =>
  database.connection().execute(async (connection) => {
    await sql`set statement_timeout = 0`.execute(connection);
    await add(connection, rows);
    await sql`reset statement_timeout`.execute(connection);
  });

async function add(database: Database, { ended, tenants = 20, days = 100 }: OldRows): Promise<void> {
  const others = Math.round(ended / 10);
  await sql`
    insert into sessions (
      id, tenant, namespace, tier, state, labels, idempotency_key, request_hash, created_at, started_at, state_since,
      ended_at, updated_at, version)
    select gen_random_uuid(), tenant, 'tenant-' || tenant, case when n % 50 = 0 then 'large' else 'small' end,
      case when n % 100 = 0 then 'failed' else 'stopped' end,
      jsonb_build_object('team', 'blue', 'run', n::text), 'key-' || n, 'hash', began, began, ended, ended, ended, 5
    from (
      select n, case when n <= ${ended} then 'acme' else 'other-' || n % ${tenants} end as tenant,
        now() - random() * ${days} * interval '1 day' - interval '1 hour' as began
      from generate_series(1, ${ended + others}) as n
    ) as one, lateral (select began + interval '30 minutes' as ended) as its_end`.execute(database);
  await sql`
    insert into sessions (id, tenant, namespace, tier, state, labels, started_at, last_active_at)
    select gen_random_uuid(), tenant, 'tenant-' || tenant, 'small',
      (array['queued', 'starting', 'running', 'suspended'])[1 + n % 4], '{"team": "blue"}', now(), now()
    from (
      select n, case when n <= 200 then 'acme' else 'other-' || n % ${tenants} end as tenant
      from generate_series(1, 200 + ${tenants}::integer) as n) as one`.execute(database);
  await sql`
    insert into session_events (session_id, tenant, at, type, state, version, actor)
    select id, tenant, created_at + step * interval '5 minutes', kind, case when step < 5 then 'running' else state end,
      step, 'worker'
    from sessions, unnest(array['created', 'ready', 'file', 'command', 'gone']) with ordinality as steps (kind, step)
    where ended_at is not null
    order by created_at, id, step`.execute(database);
  await sql`
    insert into webhook_deliveries (tenant, url, event_id, state, created_at)
    select tenant, 'https://hooks.example/' || tenant, id, 'dead', at
    from session_events where type = 'gone'`.execute(database);
  await sql`update webhook_position set event_id = newest, settled_id = newest
    from (select max(id) as newest from session_events) as last`.execute(database);
  for (const table of ["sessions", "session_events", "webhook_deliveries"]) {
    await sql`vacuum analyze ${sql.table(table)}`.execute(database);
  }
}
