/** Metrics that only workers can report. Most of these metrics come from the leader only. */
import type { MissingImage } from "../cluster/missingImages.ts";
import type { Session } from "../domain/session.ts";
import { isFinal } from "../domain/states/state.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface WorkerMetricsOptions {
  isLeader: () => boolean;
  /**
   * How many objects and rows without a counterpart the leader's last sweep found; undefined: this process is not the
   * leader, or has not swept yet.
   */
  orphans: () => Record<"pod" | "claim" | "row", number> | undefined;
  /**
   * Seconds since the leader's last successful sweep, which compares every unfinished session with the cluster, and since
   * its last successful planning of starts; undefined: this process is not the leader, or no sweep (or no planning) has
   * succeeded yet.
   */
  secondsSinceSweep: () => number | undefined;
  secondsSincePlanning: () => number | undefined;
  /** How many sessions of all tenants may be starting now, and of each tenant that has a lower limit, because its starts hang. */
  startLimit: () => { current: number; slowed: Map<string, number> };
  /**
   * The images that are missing on nodes, with the tenant of the image puller, "" for the platform's puller; undefined:
   * this process is not the leader.
   */
  missingImages: () => Promise<(MissingImage & { tenant: string })[] | undefined>;
  /**
   * How many unfinished sessions have a tenant that is not in the tenants file; undefined: this process is not the
   * leader.
   */
  withoutTenant: () => Promise<number | undefined>;
}

export function addWorkerMetrics(metrics: Metrics, worker: WorkerMetricsOptions): void {
  metrics.gauge("berth_leader", "1 if this worker is the leader.", [], (gauge) => gauge.set(worker.isLeader() ? 1 : 0));
  metrics.gauge(
    "berth_orphans",
    "Pods and volume claims without a session, and sessions without a pod or volume claim that they should have.",
    ["kind"],
    (gauge) => {
      for (const [kind, count] of Object.entries(worker.orphans() ?? {})) gauge.set({ kind }, count);
    },
  );
  metrics.gauge(
    "berth_reconcile_age_seconds",
    "Seconds since the leader last compared every unfinished session with the cluster, or last planned starts: the larger one.",
    [],
    (gauge) => {
      const all = [worker.secondsSinceSweep(), worker.secondsSincePlanning()].filter((one) => one !== undefined);
      if (all.length > 0) gauge.set(Math.max(...all));
    },
  );
  metrics.gauge(
    "berth_start_limit",
    "How many sessions of all tenants may be starting at the same time now.",
    [],
    (gauge) => {
      if (worker.isLeader()) gauge.set(worker.startLimit().current);
    },
  );
  metrics.gauge(
    "berth_tenant_start_limit",
    "How many sessions of the tenant may be starting at the same time now. Only for tenants whose starts hang.",
    ["tenant"],
    (gauge) => {
      if (!worker.isLeader()) return;
      for (const [tenant, limit] of worker.startLimit().slowed) gauge.set({ tenant }, limit);
    },
  );
  metrics.gauge(
    "berth_images_missing",
    "1 for each image that a node should have, and has not. No tenant: the platform's.",
    ["node", "image", "tenant"],
    async (gauge) => {
      for (const { node, image, tenant } of (await worker.missingImages()) ?? []) gauge.set({ node, image, tenant }, 1);
    },
  );
  metrics.gauge(
    "berth_sessions_without_tenant",
    "Unfinished sessions whose tenant is not in the tenants file.",
    [],
    async (gauge) => {
      const count = await worker.withoutTenant();
      if (count !== undefined) gauge.set(count);
    },
  );
}

/**
 * Measures the duration, if any, that ends with this change of the session's state: the start lasts from the creation to
 * the first `running`, and the stop from `stopping` to the final state. The starts of warm sessions are not measured. All
 * times come from the database's clock.
 */
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
