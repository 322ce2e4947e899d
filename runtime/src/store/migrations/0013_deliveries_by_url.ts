import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/** By this index the deliveries that are due are found for each webhook apart, however many another webhook has. */
export const up = (db: Kysely<unknown>): Promise<void> =>
  addIndex(db, "webhook_deliveries_by_url", sql`webhook_deliveries (url, next_at) where state = 'pending'`);
