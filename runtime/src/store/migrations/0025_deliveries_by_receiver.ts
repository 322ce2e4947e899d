import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/**
 * With `webhook_deliveries_by_receiver`, the due deliveries to one receiver are found however many deliveries another receiver
 * has. A receiver is a URL of a tenant. Workers of the previous version still use `webhook_deliveries_by_url`. With the
 * indexes `webhook_deliveries_pending` and `webhook_deliveries_dead`, a tenant lists its pending deliveries however many dead ones
 * it has, and the other way round. No query uses `webhook_deliveries_due` any more, and each change of a delivery would write to it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await addIndex(
    db,
    "webhook_deliveries_by_receiver",
    sql`webhook_deliveries (tenant, url, next_at) where state = 'pending'`,
  );
  const ofState = (state: string) => sql`webhook_deliveries (tenant, created_at, id) where state = ${sql.lit(state)}`;
  await addIndex(db, "webhook_deliveries_pending", ofState("pending"));
  await addIndex(db, "webhook_deliveries_dead", ofState("dead"));
  await sql`drop index concurrently if exists webhook_deliveries_due`.execute(db);
}
