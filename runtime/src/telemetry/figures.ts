/**
 * Figures that are asked for when Prometheus comes. Where the answer doesn't come in time a figure is left out rather than
 * stale. Those of stores are the same from every process, so a query takes their `max`, never their `sum`.
 */
import { Gauge, type Registry } from "@prometheus-io/client";
import { states } from "../domain/state.ts";
import { queueName, type SessionQueue } from "../queue/sessionQueue.ts";
import type { SessionStore } from "../store/sessionStore.ts";
import { within } from "../timing/within.ts";

/** What figures are for. */
export interface Scrape {
  registry: Registry;
  /** For so many milliseconds a scrape waits for a figure. */
  patienceMs: number;
}

export function sessionFigures(
  scrape: Scrape,
  store: Pick<SessionStore, "count" | "countStuck">,
  startTimeoutSeconds: number,
): void {
  const counts = once(() => store.count());
  figure(scrape, "berth_sessions", "Sessions by state.", ["state"], async (gauge) => {
    const all = await counts();
    for (const state of states) gauge.set({ state }, 0);
    for (const { state, count } of all) gauge.inc({ state }, count);
  });
  figure(scrape, "berth_tenant_sessions", "Sessions by tenant and state.", ["tenant", "state"], async (gauge) => {
    for (const { tenant, state, count } of await counts()) gauge.set({ tenant, state }, count);
  });
  figure(
    scrape,
    "berth_sessions_stuck",
    "Sessions that are in a state for longer than they may be.",
    ["state"],
    async (gauge) => {
      const stuck = await store.countStuck(startTimeoutSeconds);
      for (const [state, count] of Object.entries(stuck)) gauge.set({ state }, count);
    },
  );
}

export function jobFigures(scrape: Scrape, queue: Pick<SessionQueue, "counts" | "oldestWaitingSeconds">): void {
  const counts = once(() => queue.counts());
  // Named as the adapter wants it: the worker's autoscaler reads it.
  figure(scrape, "bullmq_waiting_jobs", "Jobs that wait for a worker.", ["queue"], async (gauge) =>
    gauge.set({ queue: queueName }, (await counts()).waiting),
  );
  figure(scrape, "bullmq_jobs", "Jobs by state.", ["queue", "state"], async (gauge) => {
    for (const [state, count] of Object.entries(await counts())) gauge.set({ queue: queueName, state }, count);
  });
  figure(
    scrape,
    "berth_oldest_waiting_job_age_seconds",
    "For how long the oldest waiting job waits; 0: none does.",
    [],
    async (gauge) => gauge.set(await queue.oldestWaitingSeconds()),
  );
}

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

export function workerFigures(scrape: Scrape, worker: WorkerFigures): void {
  figure(scrape, "berth_leader", "1 if this worker is the leader.", [], (gauge) =>
    gauge.set(worker.isLeader() ? 1 : 0),
  );
  figure(
    scrape,
    "berth_orphans",
    "Pods and claims without a session, and sessions without what they should have.",
    ["kind"],
    (gauge) => {
      for (const [kind, count] of Object.entries(worker.orphans() ?? {})) gauge.set({ kind }, count);
    },
  );
  figure(
    scrape,
    "berth_reconcile_age_seconds",
    "Seconds since the leader last compared every unfinished session with the cluster.",
    [],
    (gauge) => {
      const seconds = worker.secondsSinceSweep();
      if (seconds !== undefined) gauge.set(seconds);
    },
  );
  figure(
    scrape,
    "berth_sessions_without_tenant",
    "Unfinished sessions whose tenant the tenants file does not name.",
    [],
    async (gauge) => {
      const count = await worker.withoutTenant();
      if (count !== undefined) gauge.set(count);
    },
  );
}

/** A gauge whose values are made anew for each scrape. */
function figure<L extends string>(
  { registry, patienceMs }: Scrape,
  name: string,
  help: string,
  labelNames: L[],
  fill: (gauge: Gauge<L>) => void | Promise<void>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      // Without labels, a gauge that is only reset would tell 0.
      const clear = () => (labelNames.length === 0 ? this.remove() : this.reset());
      clear();
      await within(patienceMs, Promise.resolve(fill(this))).catch(clear);
    },
  });
}

/** Asks once for all the figures of one scrape, which are made at the same time. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= ask().finally(() => {
      running = undefined;
    });
    return running;
  };
}
