/** Ends the retention of workspaces, and removes the tasks of ended sessions. */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import { finalStates } from "../domain/states/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";

/**
 * Ends the retention of every workspace whose time is over, and returns the ids of their sessions. The next reconcile
 * of each session deletes the workspace.
 */
export async function expireWorkspaces(database: Database, actor: Actor): Promise<string[]> {
  const rows = await database
    .with("changed", (db) =>
      db
        .updateTable("sessions")
        .set({ workspace_until: null, version: sql`version + 1`, updated_at: sql`now()` })
        .where("workspace_until", "<=", sql<Date>`now()`)
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
 * itself, but during a rollout a worker of an older version, which did not do so, may still end sessions.
 */
export async function wipeTasksOfEnded(database: Database): Promise<void> {
  await database
    .updateTable("sessions")
    .set({ task: null })
    .where("state", "in", finalStates)
    .where("task", "is not", null)
    .execute();
}
