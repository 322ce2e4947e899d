/** How long workspaces are kept after the end of their sessions, and that tasks are not. */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import { finalStates } from "../domain/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";

/**
 * Ends the retention of every workspace that has been kept for long enough and returns whose they were. The next look at
 * those sessions removes what is left of them.
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
 * Wipes the tasks of sessions that have ended, because they have the agents' secrets. The end itself does that; during a
 * rollout a worker of a version that did not may still end sessions.
 */
export async function wipeTasksOfEnded(database: Database): Promise<void> {
  await database
    .updateTable("sessions")
    .set({ task: null })
    .where("state", "in", finalStates)
    .where("task", "is not", null)
    .execute();
}
