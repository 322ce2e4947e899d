import { type Kysely, sql } from "kysely";
import { alterTable } from "./alterTable.ts";

export const transaction = false;

/** Links to ports are grants too. A second statement checks the rows; meanwhile other processes can read and write them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await alterTable(
    db,
    sql`
      alter table grants
        add column if not exists port integer,
        drop constraint if exists grants_kind_check,
        add constraint grants_kind_check check (kind in ('desktop', 'file', 'port')) not valid`,
  );
  await sql`alter table grants validate constraint grants_kind_check`.execute(db);
}
