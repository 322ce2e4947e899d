/** Metrics of the queue's jobs, from Redis. */
import { type Metrics, oncePerScrape } from "../telemetry/metrics.ts";
import { queueName, type SessionQueue } from "./sessionQueue.ts";

export function addJobMetrics(metrics: Metrics, queue: Pick<SessionQueue, "counts" | "oldestWaitingSeconds">): void {
  const counts = oncePerScrape(() => queue.counts());
  // Prometheus' adapter knows the metric by this name, and the worker's autoscaler reads it from the adapter.
  metrics.gauge("bullmq_waiting_jobs", "Jobs that wait for a worker.", ["queue"], async (gauge) =>
    gauge.set({ queue: queueName }, (await counts()).waiting),
  );
  metrics.gauge("bullmq_jobs", "Jobs by state.", ["queue", "state"], async (gauge) => {
    for (const [state, count] of Object.entries(await counts())) gauge.set({ queue: queueName, state }, count);
  });
  metrics.gauge(
    "berth_oldest_waiting_job_age_seconds",
    "For how many seconds the oldest waiting job has waited; 0 if no job waits.",
    [],
    async (gauge) => gauge.set(await queue.oldestWaitingSeconds()),
  );
}
