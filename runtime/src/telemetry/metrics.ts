/** What Prometheus is told. Never a session id as a label: there is no end to them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import type { Session } from "../domain/session.ts";
import { finalStates } from "../domain/state.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { SessionStore } from "../store/sessionStore.ts";
import { jobFigures, type Scrape, sessionFigures, type WorkerFigures, workerFigures } from "./figures.ts";

/** What happens in this process is counted here; what is asked for when Prometheus comes is in figures.ts. */
export class Metrics {
  readonly registry = new Registry();
  readonly #scrape: Scrape;

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
    "Sessions asked for where the tenant has some made ahead, by tier and outcome: hit, or miss if none was ready.",
    ["tier", "outcome"],
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

  /**
   * @param startTimeoutSeconds after which a session that is starting counts as stuck, with a minute's grace
   * @param patienceMs for so many milliseconds a scrape waits for a figure, and then leaves it out
   */
  constructor(
    store: Pick<SessionStore, "count" | "countStuck">,
    queue: Pick<SessionQueue, "counts" | "oldestWaitingSeconds">,
    startTimeoutSeconds = 300,
    patienceMs = 1_000,
  ) {
    collectDefaultMetrics({ register: this.registry });
    this.#scrape = { registry: this.registry, patienceMs };
    sessionFigures(this.#scrape, store, startTimeoutSeconds);
    jobFigures(this.#scrape, queue);
  }

  /** Adds what only a worker knows. */
  observeWorker(worker: WorkerFigures): void {
    workerFigures(this.#scrape, worker);
  }

  /** Takes the durations from a session's change; all times are the database's. */
  observeChange(before: Session, after: Session): void {
    const seconds = (from: Date, to: Date) => (to.getTime() - from.getTime()) / 1_000;
    if (before.startedAt === null && after.startedAt !== null && after.warm === null) {
      this.startDuration.observe({ tier: after.tier }, seconds(after.createdAt, after.startedAt));
    }
    const ended = finalStates.some((state) => state === after.state);
    if (before.state === "stopping" && ended) {
      this.stopDuration.observe(seconds(before.stateSince, after.stateSince));
    }
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
