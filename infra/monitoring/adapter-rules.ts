/** The content of the adapter's config.yaml: which queries to Prometheus the adapter serves as Kubernetes metrics. */
import type { ServedApi } from "../config/adapter-apis.ts";

const byPod = { overrides: { namespace: { resource: "namespace" }, pod: { resource: "pod" } } };
const byPodAndNode = { overrides: { ...byPod.overrides, node: { resource: "node" } } };

/**
 * The number of waiting jobs in the queue. Every process reports the same number, so the query uses the maximum, not the sum or
 * the mean. The query uses the last value within a minute, so that a restart of a process causes no gap. The metric does not
 * belong to a namespace.
 */
const waitingJobs = {
  seriesQuery: '{__name__="bullmq_waiting_jobs",job="platform"}',
  resources: { namespaced: false },
  name: { as: "bullmq_waiting_jobs" },
  metricsQuery: 'max by (queue) (last_over_time(<<.Series>>{job="platform",<<.LabelMatchers>>}[1m]))',
};

/** Requests of users per second, for each pod. A pod without requests has the value 0. */
const requests = {
  seriesQuery: '{__name__="http_requests_total",job="platform",namespace!="",pod!=""}',
  resources: byPod,
  name: { as: "http_requests_per_second" },
  metricsQuery: [
    'sum by (<<.GroupBy>>) (rate(<<.Series>>{job="platform",route!~"/health.*|/metrics",<<.LabelMatchers>>}[1m]))',
    'or 0 * sum by (<<.GroupBy>>) (up{job="platform",<<.LabelMatchers>>})',
  ].join(" "),
};

/** The number of open WebSockets, streams and transfers of each pod. */
const openConnections = {
  seriesQuery: '{__name__="berth_open_connections",job="platform",namespace!="",pod!=""}',
  resources: byPod,
  name: { as: "berth_open_connections" },
  metricsQuery: 'sum by (<<.GroupBy>>) (<<.Series>>{job="platform",<<.LabelMatchers>>})',
};

/** The CPU and memory of pods and nodes, for clusters without metrics-server. */
const resources = {
  cpu: {
    containerQuery:
      'sum by (<<.GroupBy>>) (rate(container_cpu_usage_seconds_total{job="kubelets",container!="",<<.LabelMatchers>>}[1m]))',
    nodeQuery: 'sum by (<<.GroupBy>>) (rate(node_cpu_usage_seconds_total{job="kubelets",<<.LabelMatchers>>}[1m]))',
    resources: byPodAndNode,
    containerLabel: "container",
  },
  memory: {
    containerQuery:
      'sum by (<<.GroupBy>>) (container_memory_working_set_bytes{job="kubelets",container!="",<<.LabelMatchers>>})',
    nodeQuery: 'sum by (<<.GroupBy>>) (node_memory_working_set_bytes{job="kubelets",<<.LabelMatchers>>})',
    resources: byPodAndNode,
    containerLabel: "container",
  },
  window: "1m",
};

const byGroup: Record<string, object> = {
  "custom.metrics.k8s.io": { rules: [requests, openConnections] },
  "external.metrics.k8s.io": { externalRules: [waitingJobs] },
  "metrics.k8s.io": { resourceRules: resources },
};

/** @param apis the APIs that the adapter serves; for other APIs the adapter gets no rules, so it does not serve them */
export const adapterRules = (apis: ServedApi[]): object =>
  Object.assign({}, ...apis.map(({ group }) => byGroup[group]));
