import { type Kysely, sql } from "kysely";
import { addIndex } from "./addIndex.ts";
import { alterTable } from "./alterTable.ts";

export const transaction = false;

/**
 * Adds what a claim of a warm session in one statement needs: the random id to which a claimed session's task is bound until its
 * pod has the task, and an index that finds the oldest warm session of a pod template. Existing tasks stay bound to their
 * session's id. Postgres adds the column without rewriting rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await alterTable(db, sql`alter table sessions add column if not exists task_id uuid`);
  await addIndex(db, "sessions_task_ids", sql`sessions (task_id) where task_id is not null and task is not null`, {
    unique: true,
  });
  await addIndex(
    db,
    "sessions_to_claim",
    sql`sessions (tenant, tier, warm, created_at) where warm is not null and state = 'running'`,
  );
  await sql`drop index concurrently if exists sessions_spares`.execute(db);
}
