import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/** With this index, the due deliveries of one webhook are found however many deliveries another webhook has. */
export const up = (db: Kysely<unknown>): Promise<void> =>
  addIndex(db, "webhook_deliveries_by_url", sql`webhook_deliveries (url, next_at) where state = 'pending'`);
