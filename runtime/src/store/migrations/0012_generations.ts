import { type Kysely, sql } from "kysely";

/**
 * The newest tenants file by which a session was made or changed, and by which a delivery was made. Postgres adds a column
 * with a constant default without writing a row, so writers are held up for a moment only. A double holds each whole number
 * up to 2^53, and comes as a number, which a bigint does not.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of ["sessions", "webhook_deliveries"]) {
    await sql`
      alter table ${sql.table(table)} add column tenants_generation double precision not null default 0`.execute(db);
  }
}
