import { type Kysely, type RawBuilder, sql } from "kysely";

/**
 * Makes an index of a table that has rows, while others write to the table. Not possible in a transaction. What an
 * interrupted run has left of the index is made anew.
 * @param on what stands behind ON in the statement: table, columns and condition
 */
export async function addIndex(db: Kysely<unknown>, name: string, on: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql`
    select from pg_index where indexrelid = to_regclass(${name}) and not indisvalid`.execute(db);
  if (rows.length > 0) await sql`drop index concurrently ${sql.id(name)}`.execute(db);
  await sql`create index concurrently if not exists ${sql.id(name)} on ${on}`.execute(db);
}
