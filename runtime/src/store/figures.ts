/** Figures of sessions, from Postgres. */
import { states } from "../domain/state.ts";
import { type Metrics, oncePerScrape } from "../telemetry/metrics.ts";
import type { SessionCounts } from "./sessionCounts.ts";

/** @param startTimeoutSeconds after which a session that is starting counts as stuck, with a minute's grace. Default 300 */
export function addSessionFigures(
  metrics: Metrics,
  counts: Pick<SessionCounts, "byTenantAndState" | "stuck" | "byTokenKey">,
  startTimeoutSeconds = 300,
): void {
  const all = oncePerScrape(() => counts.byTenantAndState());
  metrics.figure("berth_sessions", "Sessions by state.", ["state"], async (gauge) => {
    const sessions = await all();
    for (const state of states) gauge.set({ state }, 0);
    for (const { state, count } of sessions) gauge.inc({ state }, count);
  });
  metrics.figure("berth_tenant_sessions", "Sessions by tenant and state.", ["tenant", "state"], async (gauge) => {
    for (const { tenant, state, count } of await all()) gauge.set({ tenant, state }, count);
  });
  metrics.figure(
    "berth_token_key_sessions",
    "Sessions that have not ended, by the id of the key that their pods' tokens are made from.",
    ["key"],
    async (gauge) => {
      for (const { key, count } of await counts.byTokenKey()) gauge.set({ key: String(key) }, count);
    },
  );
  metrics.figure(
    "berth_sessions_stuck",
    "Sessions that are in a state for longer than they may be.",
    ["state"],
    async (gauge) => {
      const stuck = await counts.stuck(startTimeoutSeconds);
      for (const [state, count] of Object.entries(stuck)) gauge.set({ state }, count);
    },
  );
}
