/** Which of Prometheus's figures Kubernetes sees as metrics: the adapter's config.yaml as data. */
import type { ServedApi } from "../config/adapter-apis.ts";

const byPod = { overrides: { namespace: { resource: "namespace" }, pod: { resource: "pod" } } };
const byPodAndNode = { overrides: { ...byPod.overrides, node: { resource: "node" } } };

/**
 * Jobs that wait, of the whole queue: every process reports the same figure, so the highest is taken, never the sum or the
 * mean. Its last value of a minute, so that the restart of a process is no gap. Asked for from any namespace.
 */
const waitingJobs = {
  seriesQuery: '{__name__="bullmq_waiting_jobs",job="platform"}',
  resources: { namespaced: false },
  name: { as: "bullmq_waiting_jobs" },
  metricsQuery: 'max by (queue) (last_over_time(<<.Series>>{job="platform",<<.LabelMatchers>>}[1m]))',
};

/** Requests that users made, of each pod; none is 0 and not missing. */
const requests = {
  seriesQuery: '{__name__="http_requests_total",job="platform",namespace!="",pod!=""}',
  resources: byPod,
  name: { as: "http_requests_per_second" },
  metricsQuery: [
    'sum by (<<.GroupBy>>) (rate(<<.Series>>{job="platform",route!~"/health.*|/metrics",<<.LabelMatchers>>}[1m]))',
    'or 0 * sum by (<<.GroupBy>>) (up{job="platform",<<.LabelMatchers>>})',
  ].join(" "),
};

/** What each pod has open: WebSockets, streams, transfers. */
const openConnections = {
  seriesQuery: '{__name__="berth_open_connections",job="platform",namespace!="",pod!=""}',
  resources: byPod,
  name: { as: "berth_open_connections" },
  metricsQuery: 'sum by (<<.GroupBy>>) (<<.Series>>{job="platform",<<.LabelMatchers>>})',
};

/** CPU and memory, for clusters without metrics-server. */
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

/** @param apis what the adapter serves: of the others it has no rules, and then it has no such API */
export const adapterRules = (apis: ServedApi[]): object =>
  Object.assign({}, ...apis.map(({ group }) => byGroup[group]));
