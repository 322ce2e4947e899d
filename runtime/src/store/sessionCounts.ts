/** How many sessions there are, and how many are in a state for longer than they may be: no look has repaired these. */
import { sql } from "kysely";
import { finalStates, type State } from "../domain/state.ts";
import type { Database } from "./database.ts";
import { idle, overLifetime, secondsInState } from "./deadlines.ts";

/** States that have a deadline. A queued or suspended session may wait for as long as it takes. */
const states = ["starting", "running", "suspending", "stopping"] as const;
export type StuckCounts = Record<(typeof states)[number], number>;

/** Seconds after a deadline in which the next look may still come. */
const graceSeconds = 60;
/** Seconds that a pod has to end: its grace period and what the kubelet does around it. */
const endSeconds = 60;

export class SessionCounts {
  constructor(private readonly database: Database) {}

  /** How many sessions each tenant has in each state; those made ahead, which nobody has yet, aren't counted. */
  async byTenantAndState(): Promise<{ tenant: string; state: State; count: number }[]> {
    const rows = await this.database
      .selectFrom("sessions")
      .select(["tenant", "state", (build) => build.fn.countAll<string>().as("count")])
      .where("warm", "is", null)
      .groupBy(["tenant", "state"])
      .execute();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  /** How many sessions that have not ended have pods with tokens from each key, those made ahead too. */
  async byTokenKey(): Promise<{ key: number; count: number }[]> {
    const rows = await this.database
      .selectFrom("sessions")
      .select(["token_key as key", (build) => build.fn.countAll<string>().as("count")])
      .where("state", "not in", finalStates)
      .groupBy("token_key")
      .execute();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  /** How many sessions are in a state for longer than they may be. `startTimeoutSeconds` is for how long one may be starting. */
  async stuck(startTimeoutSeconds: number): Promise<StuckCounts> {
    const isStuck = sql<boolean>`case state
      when 'starting' then not stalled and ${secondsInState} > ${startTimeoutSeconds + graceSeconds}
      when 'running' then ${idle(graceSeconds)} or ${overLifetime(graceSeconds)}
      else ${secondsInState} > ${endSeconds + graceSeconds} end`;
    const rows = await this.database
      .selectFrom("sessions")
      .select(["state", (build) => build.fn.countAll<string>().as("count")])
      .where("state", "in", states)
      .where(isStuck)
      .groupBy("state")
      .execute();
    const counts = new Map(rows.map(({ state, count }) => [state, Number(count)]));
    return Object.fromEntries(states.map((state) => [state, counts.get(state) ?? 0])) as StuckCounts;
  }
}
