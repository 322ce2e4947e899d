import { type Kysely, type RawBuilder, sql } from "kysely";

/**
 * Creates an index of a table that has rows, while other processes write to the table. Postgres refuses
 * `create index concurrently` in a transaction. If an interrupted run has left an invalid index, the index is created again.
 * @param on the part of the statement after ON: table, columns and condition
 */
export async function addIndex(
  db: Kysely<unknown>,
  name: string,
  on: RawBuilder<unknown>,
  { unique = false } = {},
): Promise<void> {
  const { rows } = await sql`
    select from pg_index where indexrelid = to_regclass(${name}) and not indisvalid`.execute(db);
  if (rows.length > 0) await sql`drop index concurrently ${sql.id(name)}`.execute(db);
  const kind = unique ? sql`unique index` : sql`index`;
  await sql`create ${kind} concurrently if not exists ${sql.id(name)} on ${on}`.execute(db);
}
