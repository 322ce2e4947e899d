/** Ends the retention of workspaces, and removes the tasks of ended sessions. */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import { finalStates } from "../domain/states/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";

/**
 * Ends the retention of the workspaces whose time has been over for longest, at most `limit` of them, and returns the ids of
 * their sessions. The next reconcile of each session deletes the workspace.
 */
export async function expireWorkspaces(database: Database, actor: Actor, limit: number): Promise<string[]> {
  const isOver = sql<boolean>`workspace_until <= now()`;
  const rows = await database
    .with("changed", (db) =>
      db
        .updateTable("sessions")
        .set({ workspace_until: null, version: sql`version + 1`, updated_at: sql`now()` })
        .where(sql<boolean>`id = any(array(
          select id from sessions where ${isOver} order by workspace_until limit ${limit}))`)
        .where(isOver) // no other process has ended the retention meanwhile
        .returning(auditedColumns),
    )
    .with("logged", logEvents("changed", "expired", actor))
    .selectFrom("changed")
    .select("id")
    .execute();
  return rows.map(({ id }) => id);
}

/**
 * Removes the tasks of ended sessions, because the tasks contain the agents' secrets. A session's end removes its task
 * itself, but during a rollout a worker of an older version, which did not do so, may still end sessions. Removes at most
 * `limit` tasks, and returns their number.
 */
export async function wipeTasksOfEnded(database: Database, limit: number): Promise<number> {
  const { numUpdatedRows } = await database
    .updateTable("sessions")
    .set({ task: null })
    .where(sql<boolean>`id = any(array(
      select id from sessions where task is not null and state in (${sql.join(finalStates)}) limit ${limit}))`)
    .executeTakeFirst();
  return Number(numUpdatedRows);
}
