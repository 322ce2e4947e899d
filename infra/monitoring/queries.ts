/** What KEDA asks Prometheus: the adapter's figures (adapter-rules.ts), as one number over all pods. */
import * as pulumi from "@pulumi/pulumi";
import type { PrometheusQuery } from "../kubernetes/autoscaler.ts";

/** Jobs that wait for a worker. Every process reports the whole queue; a process's restart is no gap. */
export const waitingJobs = 'max(last_over_time(bullmq_waiting_jobs{job="platform",queue="agent-sessions"}[1m]))';

/** Users' requests a second to all pods of the API; 0 only where pods are seen that have none. */
export const requestsPerSecond = [
  'sum(rate(http_requests_total{job="platform",component="api",route!~"/health.*|/metrics"}[1m]))',
  'or 0 * sum(up{job="platform",component="api"})',
].join(" ");

/** What all pods of the gateway have open. */
export const openConnections = 'sum(berth_open_connections{job="platform",component="gateway"})';

/** The query as pods of any namespace can ask it. @param namespace of Prometheus */
export const askPrometheus = (namespace: pulumi.Input<string>, query: string): PrometheusQuery => ({
  url: pulumi.interpolate`http://prometheus.${namespace}.svc:9090`,
  query,
});
