import { type Kysely, sql } from "kysely";

/** Which queued sessions wait for their own tenant's room: warm sessions give way to these, and to no others. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column awaits_room boolean not null default false`.execute(db);
}
