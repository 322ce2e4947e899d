/** Figures of sessions, from Postgres. */
import { states } from "../domain/state.ts";
import { type Metrics, oncePerScrape } from "../telemetry/metrics.ts";
import type { SessionStore } from "./sessionStore.ts";

/** @param startTimeoutSeconds after which a session that is starting counts as stuck, with a minute's grace. Default 300 */
export function addSessionFigures(
  metrics: Metrics,
  store: Pick<SessionStore, "count" | "countStuck">,
  startTimeoutSeconds = 300,
): void {
  const counts = oncePerScrape(() => store.count());
  metrics.figure("berth_sessions", "Sessions by state.", ["state"], async (gauge) => {
    const all = await counts();
    for (const state of states) gauge.set({ state }, 0);
    for (const { state, count } of all) gauge.inc({ state }, count);
  });
  metrics.figure("berth_tenant_sessions", "Sessions by tenant and state.", ["tenant", "state"], async (gauge) => {
    for (const { tenant, state, count } of await counts()) gauge.set({ tenant, state }, count);
  });
  metrics.figure(
    "berth_sessions_stuck",
    "Sessions that are in a state for longer than they may be.",
    ["state"],
    async (gauge) => {
      const stuck = await store.countStuck(startTimeoutSeconds);
      for (const [state, count] of Object.entries(stuck)) gauge.set({ state }, count);
    },
  );
}
