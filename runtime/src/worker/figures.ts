/** What only a worker knows, and most of it only the leader. */
import type { Session } from "../domain/session.ts";
import { isFinal } from "../domain/state.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface WorkerFigures {
  isLeader: () => boolean;
  /** What the leader's last sweep found alone, by kind; undefined: this process is not the leader. */
  orphans: () => Record<"pod" | "claim" | "row", number> | undefined;
  /**
   * Seconds since the leader's last sweep that went through, which compares every unfinished session with the cluster;
   * undefined: this process is not the leader.
   */
  secondsSinceSweep: () => number | undefined;
  /** How many unfinished sessions have a tenant that the tenants file does not name; undefined: this process is not the leader. */
  withoutTenant: () => Promise<number | undefined>;
}

export function addWorkerFigures(metrics: Metrics, worker: WorkerFigures): void {
  metrics.figure("berth_leader", "1 if this worker is the leader.", [], (gauge) =>
    gauge.set(worker.isLeader() ? 1 : 0),
  );
  metrics.figure(
    "berth_orphans",
    "Pods and claims without a session, and sessions without what they should have.",
    ["kind"],
    (gauge) => {
      for (const [kind, count] of Object.entries(worker.orphans() ?? {})) gauge.set({ kind }, count);
    },
  );
  metrics.figure(
    "berth_reconcile_age_seconds",
    "Seconds since the leader last compared every unfinished session with the cluster.",
    [],
    (gauge) => {
      const seconds = worker.secondsSinceSweep();
      if (seconds !== undefined) gauge.set(seconds);
    },
  );
  metrics.figure(
    "berth_sessions_without_tenant",
    "Unfinished sessions whose tenant the tenants file does not name.",
    [],
    async (gauge) => {
      const count = await worker.withoutTenant();
      if (count !== undefined) gauge.set(count);
    },
  );
}

/** Takes the durations from a session's change; all times are the database's. */
export function observeChange(
  metrics: Pick<Metrics, "startDuration" | "stopDuration">,
  before: Session,
  after: Session,
): void {
  const seconds = (from: Date, to: Date) => (to.getTime() - from.getTime()) / 1_000;
  if (before.startedAt === null && after.startedAt !== null && after.warm === null) {
    metrics.startDuration.observe({ tier: after.tier }, seconds(after.createdAt, after.startedAt));
  }
  if (before.state === "stopping" && isFinal(after.state)) {
    metrics.stopDuration.observe(seconds(before.stateSince, after.stateSince));
  }
}
