import { type Kysely, sql } from "kysely";

/**
 * Which queued sessions wait for their own tenant's room: warm sessions give way to these, and to no others. And an index
 * by which the deliveries that are due are found for each webhook apart, however many another webhook has.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column awaits_room boolean not null default false`.execute(db);
  await sql`
    create index webhook_deliveries_by_url on webhook_deliveries (url, next_at) where state = 'pending'`.execute(db);
}
