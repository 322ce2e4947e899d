/**
 * KEDA's queries to Prometheus. They use the same metrics as the adapter's queries (adapter-rules.ts), but their results are
 * for all pods together.
 */
import * as pulumi from "@pulumi/pulumi";
import type { PrometheusQuery } from "../kubernetes/autoscaler.ts";

/**
 * The number of jobs that wait for a worker. Every process reports the same number, and a restart of a process causes no
 * gap.
 */
export const waitingJobs = 'max(last_over_time(bullmq_waiting_jobs{job="platform",queue="agent-sessions"}[1m]))';

/** Requests of users per second to all pods of the API. The value is 0 if Prometheus sees pods that get no requests. */
export const requestsPerSecond = [
  'sum(rate(http_requests_total{job="platform",component="api",route!~"/health.*|/metrics"}[1m]))',
  'or 0 * sum(up{job="platform",component="api"})',
].join(" ");

/** The number of open connections of all pods of the gateway. */
export const openConnections = 'sum(berth_open_connections{job="platform",component="gateway"})';

/** A query, with an address of Prometheus that works in every namespace. @param namespace the namespace of Prometheus */
export const askPrometheus = (namespace: pulumi.Input<string>, query: string): PrometheusQuery => ({
  url: pulumi.interpolate`http://prometheus.${namespace}.svc:9090`,
  query,
});
