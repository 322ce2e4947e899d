/** How long workspaces are kept after the end of their sessions. */
import { sql } from "kysely";
import type { Database } from "../database/database.ts";
import { type Actor, logEvents } from "./sessionEvents.ts";

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
        .returningAll(),
    )
    .with("logged", logEvents("changed", "expired", actor))
    .selectFrom("changed")
    .select("id")
    .execute();
  return rows.map(({ id }) => id);
}
