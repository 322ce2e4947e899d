import { type Kysely, sql } from "kysely";

/**
 * Adds the column `tenants_generation`: the highest generation of the tenants file with which a process created or changed
 * the row. Postgres adds a column with a constant default without rewriting rows, so writers wait only for a moment. The
 * type is double, because a double holds each whole number up to 2^53 and the driver returns a double as a number, but a
 * bigint as a string.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of ["sessions", "webhook_deliveries"]) {
    await sql`
      alter table ${sql.table(table)} add column tenants_generation double precision not null default 0`.execute(db);
  }
}
