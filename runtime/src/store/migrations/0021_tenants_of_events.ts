import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";
import { alterTable } from "./alterTable.ts";

export const transaction = false;

/** How many events one statement changes. */
const page = 1_000;

/**
 * Adds the tenant of each event, and indexes for the events of a tenant. An event has no tenant if no user sees it, because
 * its session was a warm one. Versions before this one write no tenant, so a trigger writes it for them. The pages follow
 * the primary key, and each event keeps its tenant if the migration is repeated.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await alterTable(
    db,
    sql`alter table session_events add column if not exists tenant text`,
    sql`
      create or replace function set_tenant_of_event() returns trigger language plpgsql as $$
      begin
        select tenant into new.tenant from sessions where id = new.session_id and warm is null;
        return new;
      end $$`,
    sql`
      create or replace trigger session_events_tenant before insert on session_events
        for each row when (new.tenant is null) execute function set_tenant_of_event()`,
  );
  for (let last: string | null = "0"; last !== null; ) {
    const { rows }: { rows: { last: string | null }[] } = await sql<{ last: string | null }>`
      with page as (
        select id, session_id, at, tenant from session_events where id > ${last} order by id limit ${page}
      ), changed as (
        update session_events set tenant = sessions.tenant
        from page join sessions on sessions.id = page.session_id
        where session_events.id = page.id and page.tenant is null
          and sessions.warm is null and page.at >= sessions.created_at
      )
      select max(id)::text as last from page`.execute(db);
    last = rows[0]?.last ?? null;
  }
  await addIndex(db, "session_events_of_tenant", sql`session_events (tenant, id)`);
  await addIndex(
    db,
    "session_events_of_uses",
    sql`session_events (tenant, id)
      where type in ('progress', 'command', 'process', 'file', 'desktop', 'ticket', 'log', 'port')`,
  );
}
