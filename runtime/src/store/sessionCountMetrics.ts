/** Metrics of how many sessions there are, from Postgres. */
import { liveStates } from "../domain/states/state.ts";
import { type Metrics, oncePerScrape } from "../telemetry/metrics.ts";
import type { SessionCounts } from "./sessionCounts.ts";

export interface SessionCountMetricsOptions {
  counts: Pick<SessionCounts, "byTenantAndState" | "stuck" | "byTokenKey">;
  /** Only the leader queries Postgres and reports these metrics, so that several processes do not report the same sessions. */
  isLeader: () => boolean;
  /** A session that has been starting for this many seconds plus 60 counts as stuck. Default: 300 */
  startTimeoutSeconds?: number;
}

export function addSessionCountMetrics(
  metrics: Metrics,
  { counts, isLeader, startTimeoutSeconds = 300 }: SessionCountMetricsOptions,
): void {
  const all = oncePerScrape(() => counts.byTenantAndState());
  metrics.gauge("berth_sessions", "Sessions that have not ended, by state.", ["state"], async (gauge) => {
    if (!isLeader()) return;
    const sessions = await all();
    for (const state of liveStates) gauge.set({ state }, 0);
    for (const { state, count } of sessions) gauge.inc({ state }, count);
  });
  metrics.gauge(
    "berth_tenant_sessions",
    "Sessions that have not ended, by tenant and state.",
    ["tenant", "state"],
    async (gauge) => {
      if (!isLeader()) return;
      for (const { tenant, state, count } of await all()) gauge.set({ tenant, state }, count);
    },
  );
  metrics.gauge(
    "berth_token_key_sessions",
    "Sessions that have not ended, by the id of the key that signs the tokens of their pods.",
    ["key"],
    async (gauge) => {
      if (!isLeader()) return;
      for (const { key, count } of await counts.byTokenKey()) gauge.set({ key: String(key) }, count);
    },
  );
  metrics.gauge(
    "berth_sessions_stuck",
    "Sessions that are still in a state although the state's deadline is over.",
    ["state"],
    async (gauge) => {
      if (!isLeader()) return;
      const stuck = await counts.stuck(startTimeoutSeconds);
      for (const [state, count] of Object.entries(stuck)) gauge.set({ state }, count);
    },
  );
}
