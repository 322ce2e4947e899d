/** Sessions that have not ended, by tenant. */

import { finalStates } from "../domain/states/state.ts";
import type { Database } from "./database.ts";

/** The ids of the tenants' sessions that have not ended. The cost grows with their number. */
export async function unfinishedOf(database: Database, tenants: string[]): Promise<string[]> {
  if (tenants.length === 0) return [];
  const rows = await database
    .selectFrom("sessions")
    .select("id")
    .where("state", "not in", finalStates)
    .where("tenant", "in", tenants)
    .execute();
  return rows.map(({ id }) => id);
}

/**
 * How many sessions that have not ended belong to none of the tenants. The cost grows with the number of all sessions
 * that have not ended.
 */
export async function countOfOthers(database: Database, tenants: string[]): Promise<number> {
  const { count } = await database
    .selectFrom("sessions")
    .select((build) => build.fn.countAll<string>().as("count"))
    .where("state", "not in", finalStates)
    .$if(tenants.length > 0, (query) => query.where("tenant", "not in", tenants))
    .executeTakeFirstOrThrow();
  return Number(count);
}
