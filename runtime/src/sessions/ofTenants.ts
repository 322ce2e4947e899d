/** Unfinished sessions by their tenants. */
import type { Database } from "../database/database.ts";
import { finalStates } from "./state.ts";

/** How many unfinished sessions belong to none of the tenants. The cost grows with the number of unfinished sessions. */
export async function countOfOthers(database: Database, tenants: string[]): Promise<number> {
  const { count } = await database
    .selectFrom("sessions")
    .select((build) => build.fn.countAll<string>().as("count"))
    .where("state", "not in", finalStates)
    .$if(tenants.length > 0, (query) => query.where("tenant", "not in", tenants))
    .executeTakeFirstOrThrow();
  return Number(count);
}
