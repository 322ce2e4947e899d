/** Finds each tenant's oldest rows, so that a tenant with many old rows does not delay the others. */
import { type RawBuilder, sql } from "kysely";

export interface Due {
  table: "sessions" | "session_events" | "webhook_deliveries";
  /** The condition of the table's partial index; only rows that fulfil it are read. Default: no condition */
  condition?: RawBuilder<boolean>;
  /** The order of the index after the tenant, oldest first. */
  order: RawBuilder<unknown>;
  /** Whether a row is due. Only the oldest `limit` rows of each tenant are checked. Default: each row is due */
  isDue?: RawBuilder<boolean>;
  /** The columns that `isDue` reads. Default: none */
  reads?: string[];
  /** The maximum number of rows. */
  limit: number;
}

const always = sql<boolean>`true`;

/**
 * Common table expressions for `with recursive`. `due` has the column `id`: the first row of each tenant comes before the
 * second row of any tenant. If the table has an index of `tenant` and `order` with the
 * condition, the cost grows with the number of tenants, not with the number of rows.
 */
export const dueByTenant = ({ table, condition = always, order, isDue = always, reads = [], limit }: Due) => sql`
  tenants (tenant) as (
    (select tenant from ${sql.table(table)} where ${condition} order by tenant limit 1)
    union all
    select (
      select tenant from ${sql.table(table)} where ${condition} and tenant > tenants.tenant order by tenant limit 1)
    from tenants where tenants.tenant is not null
  ), due as materialized (
    select oldest.id from tenants cross join lateral (
      select id, row_number() over () as place from (
        select ${sql.join(["id", ...reads].map(sql.ref))} from ${sql.table(table)} where tenant = tenants.tenant and ${condition} order by ${order} limit ${limit}
      ) as first where ${isDue}
    ) as oldest
    order by oldest.place limit ${limit}
  )`;
