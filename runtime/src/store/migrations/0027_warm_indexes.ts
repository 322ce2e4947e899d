import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";

export const transaction = false;

/**
 * Replaces the index of all warm sessions by their creation. Postgres could choose that index for a claim, which then read the
 * warm sessions of all tenants. A claim can use neither of the new indexes to find the oldest warm session.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const isEnding = sql`state in ('stopping', 'stopped', 'failed')`;
  await addIndex(db, "sessions_warm_live", sql`sessions (tenant) where warm is not null and not (${isEnding})`);
  await addIndex(db, "sessions_warm_ended", sql`sessions (created_at) where warm is not null and ${isEnding}`);
  await sql`drop index concurrently if exists sessions_warm_made`.execute(db);
}
