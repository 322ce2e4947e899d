/**
 * What Prometheus is told. Never a session id as a label: there is no end to them.
 *
 * What happens in this process is counted here. Figures are asked for when Prometheus comes, of those who know them. Where the
 * answer doesn't come in time a figure is left out rather than stale. Those of stores are the same from every process, so a
 * query takes their `max`, never their `sum`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import { within } from "../timing/within.ts";

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
    help: "From a session's creation to its first running, by tier.",
    labelNames: ["tier"],
    buckets: [0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900],
    registers: [this.registry],
  });

  readonly stopDuration = new Histogram({
    name: "berth_session_stop_duration_seconds",
    help: "From the beginning of a session's end until nothing of it runs.",
    buckets: [0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 120, 300],
    registers: [this.registry],
  });

  readonly reconciles = this.#counter("berth_reconciles_total", "Looks at sessions by outcome.", ["outcome"]);

  readonly reconcileDuration = new Histogram({
    name: "berth_reconcile_duration_seconds",
    help: "Duration of a look at a session.",
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  readonly watchRestarts = this.#counter(
    "berth_watch_restarts_total",
    "How often a pod watch had to be made anew after an error.",
  );

  readonly kubernetesRequests = this.#counter(
    "berth_kubernetes_requests_total",
    "Requests to the API server by verb and HTTP status; code 0: no answer.",
    ["verb", "code"],
  );

  readonly quotaRefusals = this.#counter(
    "berth_quota_refusals_total",
    "How often the cluster refused a session's objects for the tenant's quota.",
  );

  readonly warmClaims = this.#counter(
    "berth_warm_claims_total",
    "Sessions asked for where the tenant has some made ahead, by image, tier and outcome: hit, or miss if none was ready. No image: the platform's.",
    ["image", "tier", "outcome"],
  );

  readonly webhooks = this.#counter(
    "berth_webhook_deliveries_total",
    "Attempts to deliver an event to a webhook by outcome: delivered, failed (to be tried again), dead.",
    ["outcome"],
  );

  readonly desktops = new Gauge({
    name: "berth_desktop_connections",
    help: "Open desktop connections of this process.",
    registers: [this.registry],
  });

  /** @param patienceMs for so many milliseconds a scrape waits for a figure, and then leaves it out. Default 1000 */
  constructor(private readonly patienceMs = 1_000) {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Adds a gauge whose values are made anew for each scrape. `fill` may throw: the figure is left out then. */
  figure<L extends string>(
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
        // Without labels, a gauge that is only reset would tell 0.
        const clear = () => (labelNames.length === 0 ? this.remove() : this.reset());
        clear();
        await within(patienceMs, Promise.resolve(fill(this))).catch(clear);
      },
    });
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}

/** Asks once for all the figures of one scrape, which are made at the same time. */
export function oncePerScrape<T>(ask: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= ask().finally(() => {
      running = undefined;
    });
    return running;
  };
}
