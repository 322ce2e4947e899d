import { type Kysely, sql } from "kysely";

/**
 * The last event whose deliveries exist, for versions that stop at the horizon of the audit trail. Versions before this one
 * move only `event_id`. The table has one row.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table webhook_position add column settled_id bigint not null default 0`.execute(db);
  await sql`update webhook_position set settled_id = event_id`.execute(db);
}
