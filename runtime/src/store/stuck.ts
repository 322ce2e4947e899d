/** Sessions that are in a state for longer than they may be: something is wrong with them that no look has repaired. */
import { sql } from "kysely";
import type { Database } from "./database.ts";
import { idle, overLifetime, secondsInState } from "./deadlines.ts";

/** States that have a deadline. A queued or suspended session may wait for as long as it takes. */
const states = ["starting", "running", "suspending", "stopping"] as const;
export type StuckCounts = Record<(typeof states)[number], number>;

/** Seconds after a deadline in which the next look may still come. */
const graceSeconds = 60;
/** Seconds that a pod has to end: its grace period and what the kubelet does around it. */
const endSeconds = 60;

/** How many there are, by state. `startTimeoutSeconds` is for how long a session may be starting. */
export async function countStuck(database: Database, startTimeoutSeconds: number): Promise<StuckCounts> {
  const isStuck = sql<boolean>`case state
    when 'starting' then not stalled and ${secondsInState} > ${startTimeoutSeconds + graceSeconds}
    when 'running' then ${idle(graceSeconds)} or ${overLifetime(graceSeconds)}
    else ${secondsInState} > ${endSeconds + graceSeconds} end`;
  const rows = await database
    .selectFrom("sessions")
    .select(["state", (build) => build.fn.countAll<string>().as("count")])
    .where("state", "in", states)
    .where(isStuck)
    .groupBy("state")
    .execute();
  const counts = new Map(rows.map(({ state, count }) => [state, Number(count)]));
  return Object.fromEntries(states.map((state) => [state, counts.get(state) ?? 0])) as StuckCounts;
}
