/** What KEDA asks Prometheus: the adapter's figures (adapter-rules.ts), as one number over all pods. */
import { platformNamespace } from "../platform/platform.ts";

/** Where Prometheus answers the pods of other namespaces. */
const url = `http://prometheus.${platformNamespace}.svc:9090`;

/** Jobs that wait for a worker. Every process reports the whole queue; a process's restart is no gap. */
export const waitingJobs = {
  url,
  query: 'max(last_over_time(bullmq_waiting_jobs{job="platform",queue="agent-sessions"}[1m]))',
};

/** Users' requests a second to all pods of the API; 0 only where pods are seen that have none. */
export const requestsPerSecond = {
  url,
  query: [
    'sum(rate(http_requests_total{job="platform",component="api",route!~"/health.*|/metrics"}[1m]))',
    'or 0 * sum(up{job="platform",component="api"})',
  ].join(" "),
};
