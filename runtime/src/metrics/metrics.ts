/** What Prometheus is told. Never a session id as a label: there is no end to them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import { queueName, type SessionQueue } from "../queue/sessionQueue.ts";
import type { SessionStore } from "../sessions/sessionStore.ts";
import { states } from "../sessions/state.ts";
import { within } from "../within.ts";

export class Metrics {
  readonly registry = new Registry();

  readonly httpRequests = new Counter({
    name: "http_requests_total",
    help: "HTTP requests by method, route and status.",
    labelNames: ["method", "route", "status"],
    registers: [this.registry],
  });

  readonly httpDuration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Duration of HTTP requests by method and route.",
    labelNames: ["method", "route"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  readonly reconciles = new Counter({
    name: "berth_reconciles_total",
    help: "Looks at sessions by outcome.",
    labelNames: ["outcome"],
    registers: [this.registry],
  });

  readonly watchRestarts = new Counter({
    name: "berth_watch_restarts_total",
    help: "How often a pod watch had to be made anew after an error.",
    registers: [this.registry],
  });

  readonly desktops = new Gauge({
    name: "berth_desktop_connections",
    help: "Open desktop connections of this process.",
    registers: [this.registry],
  });

  readonly webhooks = new Counter({
    name: "berth_webhook_deliveries_total",
    help: "Attempts to deliver an event to a webhook by outcome: delivered, failed (to be tried again), dead.",
    labelNames: ["outcome"],
    registers: [this.registry],
  });

  /** Sessions and jobs are asked for at scrape time; where the answer doesn't come, the figure is left out, not stale. */
  constructor(store: Pick<SessionStore, "countByState">, queue: Pick<SessionQueue, "counts">) {
    const { registry } = this;
    collectDefaultMetrics({ register: registry });
    new Gauge({
      name: "berth_sessions",
      help: "Sessions by state; the same figure from every process.",
      labelNames: ["state"],
      registers: [registry],
      async collect() {
        this.reset();
        const counts = await within(1_000, store.countByState()).catch(() => undefined);
        if (counts !== undefined) for (const state of states) this.set({ state }, counts.get(state) ?? 0);
      },
    });
    // Named as the adapter wants it: the worker's autoscaler reads it.
    new Gauge({
      name: "bullmq_waiting_jobs",
      help: "Jobs that wait for a worker; the same figure from every process.",
      labelNames: ["queue"],
      registers: [registry],
      async collect() {
        this.reset();
        const counts = await queue.counts().catch(() => undefined);
        if (counts !== undefined) this.set({ queue: queueName }, counts.waiting);
      },
    });
    new Gauge({
      name: "bullmq_jobs",
      help: "Jobs by state; the same figure from every process.",
      labelNames: ["queue", "state"],
      registers: [registry],
      async collect() {
        this.reset();
        const counts = await queue.counts().catch(() => undefined);
        for (const [state, count] of Object.entries(counts ?? {})) this.set({ queue: queueName, state }, count);
      },
    });
  }
}
