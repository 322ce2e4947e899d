/**
 * How many sessions there are, and how many are stuck. A stuck session is still in its state after the state's deadline,
 * although a reconcile should have ended the state.
 */
import { sql } from "kysely";
import { finalStates, type State } from "../domain/states/state.ts";
import type { Database } from "./database.ts";
import { idle, overLifetime, secondsInState } from "./deadlines.ts";

/** States with a deadline. A queued or suspended session may wait for any time. */
const states = ["starting", "running", "suspending", "stopping"] as const;
export type StuckCounts = Record<(typeof states)[number], number>;

/** How many seconds after a deadline the next reconcile may still come. */
const graceSeconds = 60;
/** How many seconds a pod may take to end: its grace period, and what the kubelet does before and after. */
const endSeconds = 60;

export class SessionCounts {
  constructor(private readonly database: Database) {}

  /**
   * Counts the sessions that have not ended, by tenant and state: those of all tenants, or only those of `tenant`. Warm
   * sessions are not counted, because no user has them. The cost grows with the number of counted sessions, not with the
   * number of ended sessions.
   */
  async byTenantAndState(tenant?: string): Promise<{ tenant: string; state: State; count: number }[]> {
    let query = this.database
      .selectFrom("sessions")
      .select(["tenant", "state", (build) => build.fn.countAll<string>().as("count")])
      .where("warm", "is", null)
      .where("state", "not in", finalStates)
      .groupBy(["tenant", "state"]);
    if (tenant !== undefined) query = query.where("tenant", "=", tenant);
    const rows = await query.execute();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  /** How many sessions that have not ended use each token key, including warm sessions. */
  async byTokenKey(): Promise<{ key: number; count: number }[]> {
    const rows = await this.database
      .selectFrom("sessions")
      .select(["token_key as key", (build) => build.fn.countAll<string>().as("count")])
      .where("state", "not in", finalStates)
      .groupBy("token_key")
      .execute();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  /**
   * How many sessions are still in each state `graceSeconds` after the state's deadline. A starting session that is stalled
   * counts too, because after this time the next reconcile ends its start in any case.
   * @param startTimeoutSeconds how many seconds a session may be in the state `starting`
   */
  async stuck(startTimeoutSeconds: number): Promise<StuckCounts> {
    const isStuck = sql<boolean>`case state
      when 'starting' then ${secondsInState} > ${startTimeoutSeconds + graceSeconds}
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
