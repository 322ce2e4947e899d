/**
 * The metrics of the runtime's processes for Prometheus. A session's id is never a label of these metrics, because the
 * number of sessions has no limit.
 *
 * Counters count events in this process. Gauges whose values come from Postgres or Redis are computed at each scrape. If Postgres
 * or Redis does not answer in time, the gauge is left out, so that it is never stale. All processes that report such a gauge read
 * the same data, so a query uses the `max` of their values, never the `sum`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";

export class Metrics {
  readonly registry = new Registry();

  readonly httpRequests = this.#counter("http_requests_total", "HTTP requests by method, route and status.", [
    "method",
    "route",
    "status",
  ]);

  readonly httpDuration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Duration of HTTP requests by method and route.",
    labelNames: ["method", "route"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  readonly startDuration = new Histogram({
    name: "berth_session_start_duration_seconds",
    help: "Time from a session's creation until it is running for the first time, by tier.",
    labelNames: ["tier"],
    buckets: [0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900],
    registers: [this.registry],
  });

  readonly stopDuration = new Histogram({
    name: "berth_session_stop_duration_seconds",
    help: "Time that a session spends in the state stopping.",
    buckets: [0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 120, 300],
    registers: [this.registry],
  });

  readonly reconciles = this.#counter("berth_reconciles_total", "Reconciles of sessions by outcome.", ["outcome"]);

  readonly reconcileDuration = new Histogram({
    name: "berth_reconcile_duration_seconds",
    help: "Duration of a reconcile of a session.",
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  readonly watchRestarts = this.#counter(
    "berth_watch_restarts_total",
    "How often a pod watch was restarted after an error.",
  );

  readonly kubernetesRequests = this.#counter(
    "berth_kubernetes_requests_total",
    "Requests to the Kubernetes API server by verb and HTTP status; the code 0 means no answer.",
    ["verb", "code"],
  );

  readonly quotaRefusals = this.#counter(
    "berth_quota_refusals_total",
    "How often the cluster refused a session's objects because of the tenant's quota.",
  );

  readonly warmClaims = this.#counter(
    "berth_warm_claims_total",
    "New sessions of tenants with warm pools, by image, tier and outcome: hit, or miss if no warm session was ready. An empty image means the platform's.",
    ["image", "tier", "outcome"],
  );

  readonly webhooks = this.#counter(
    "berth_webhook_deliveries_total",
    "Attempts to deliver an event to a webhook by outcome: delivered, failed (will be tried again), dead (given up).",
    ["outcome"],
  );

  readonly historyRemoved = this.#counter(
    "berth_history_removed_total",
    "Old records that were removed because their retention is over, by kind: session (with its events), event, delivery, key.",
    ["kind"],
  );

  readonly desktops = new Gauge({
    name: "berth_desktop_connections",
    help: "Open desktop connections of this process.",
    registers: [this.registry],
  });

  /**
   * @param patienceMs how long a scrape waits for a gauge, in milliseconds; then the gauge is left out. Default 1000
   */
  constructor(private readonly patienceMs = 1_000) {}

  /** Adds the metrics of this process: CPU, memory, event loop, garbage collection. The process measures them until its end. */
  addProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Adds a gauge that `fill` computes for each scrape. If `fill` throws, the gauge is left out. */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    fill: (gauge: Gauge<L>) => void | Promise<void>,
  ): void {
    const { patienceMs } = this;
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      async collect() {
        // A gauge without labels would report 0 after a reset, so it is removed.
        const clear = () => (labelNames.length === 0 ? this.remove() : this.reset());
        clear();
        const end = new AbortController();
        const late = () => sleep(patienceMs, undefined, { signal: end.signal }).then(() => Promise.reject());
        await Promise.race([fill(this), late()])
          .catch(clear)
          .finally(() => end.abort());
      },
    });
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}

/** Wraps `ask`: gauges that ask while a call is still running get the result of that call. */
export function oncePerScrape<T>(ask: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= ask().finally(() => {
      running = undefined;
    });
    return running;
  };
}
