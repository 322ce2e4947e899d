/** The content of prometheus.yml, which lists what Prometheus measures. */
import type { PrometheusConfig } from "../config/monitoring.ts";
import { sessionLabel, sessionSelector, tenantLabel } from "../kubernetes/labels.ts";

/** The folder with the token of the pod's ServiceAccount and the cluster's CA certificate. */
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Prometheus' name for a label or annotation of a pod. */
const meta = (kind: "label" | "annotation", key: string) =>
  `__meta_kubernetes_pod_${kind}_${key.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`;

const copy = (source: string, target: string) => ({ source_labels: [source], target_label: target });

/** Rules that drop pods without the scrape annotation and pods that have ended. A pod's annotation also names the port. */
const annotatedPods = [
  { action: "keep", source_labels: [meta("annotation", "prometheus.io/scrape")], regex: "true" },
  { action: "drop", source_labels: ["__meta_kubernetes_pod_phase"], regex: "Succeeded|Failed" },
  {
    action: "keepequal",
    source_labels: [meta("annotation", "prometheus.io/port")],
    target_label: "__meta_kubernetes_pod_container_port_number",
  },
  copy(meta("annotation", "prometheus.io/path"), "__metrics_path__"),
  copy("__meta_kubernetes_namespace", "namespace"),
];

/** Measures the platform's pods every ten seconds, so that an autoscaler gets a new value within thirty seconds. */
const platform = (namespace: string) => ({
  job_name: "platform",
  scrape_interval: "10s",
  scrape_timeout: "5s",
  kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
  relabel_configs: [
    ...annotatedPods,
    copy("__meta_kubernetes_pod_name", "pod"),
    copy(meta("label", "app.kubernetes.io/component"), "component"),
  ],
});

/**
 * Measures the session pods of all tenants. Prometheus finds them by their labels, so a new tenant changes nothing here. A
 * session is not trusted, so the size of its answer is limited and only metrics named session_* are kept. The label `pod` is
 * left out, because the names of session pods never repeat and Prometheus would store more and more label values. If
 * `history` is true, each metric has the label `session` with the session's id. A resumed session keeps this id in its new pod.
 */
const sessions = (tenantPrefix: string, history: boolean) => ({
  job_name: "sessions",
  scrape_interval: "30s",
  scrape_timeout: "5s",
  sample_limit: 200,
  label_limit: 12,
  label_value_length_limit: 128,
  body_size_limit: "64KB",
  kubernetes_sd_configs: [
    {
      role: "pod",
      selectors: [
        {
          role: "pod",
          label: Object.entries({ ...sessionSelector, "app.kubernetes.io/part-of": "berth" })
            .map(([key, value]) => `${key}=${value}`)
            .join(","),
        },
      ],
    },
  ],
  relabel_configs: [
    ...annotatedPods,
    // The cluster may have sessions of another stack.
    { action: "keep", source_labels: ["__meta_kubernetes_namespace"], regex: `${tenantPrefix}.+` },
    copy(meta("label", tenantLabel), "tenant"),
    ...(history ? [copy(meta("label", sessionLabel), "session")] : []),
  ],
  metric_relabel_configs: [
    {
      action: "keep",
      source_labels: ["__name__"],
      regex: "session_[a-z_]+",
    },
    ...(history
      ? []
      : [
          {
            action: "drop",
            source_labels: ["__name__"],
            regex: "session_(cpu|memory|disk|network)_.+|session_processes",
          },
        ]),
  ],
});

/**
 * Measures CPU and memory of containers and nodes at the kubelets' small endpoint. cAdvisor's endpoint has fifty times as much
 * data.
 */
const kubelets = ({ verifyCertificates }: { verifyCertificates: boolean }) => ({
  job_name: "kubelets",
  scrape_interval: "15s",
  scheme: "https",
  metrics_path: "/metrics/resource",
  authorization: { credentials_file: `${account}/token` },
  tls_config: verifyCertificates ? { ca_file: `${account}/ca.crt` } : { insecure_skip_verify: true },
  kubernetes_sd_configs: [{ role: "node" }],
  relabel_configs: [copy("__meta_kubernetes_node_name", "node")],
});

/**
 * Measures whether Prometheus reaches the Kubernetes API at each address of the EndpointSlice `kubernetes`. The network policies
 * open the addresses of the key `kubernetesApi`. So Prometheus can't reach another address, and the metric `up` of this address
 * is 0. The endpoint /metrics/slis is small, and Prometheus keeps none of its metrics.
 */
const kubernetesApi = {
  job_name: "kubernetes-api",
  scrape_interval: "30s",
  scheme: "https",
  metrics_path: "/metrics/slis",
  authorization: { credentials_file: `${account}/token` },
  // The certificate always contains this name, but not always the address.
  tls_config: { ca_file: `${account}/ca.crt`, server_name: "kubernetes.default.svc" },
  kubernetes_sd_configs: [{ role: "endpointslice", namespaces: { names: ["default"] } }],
  relabel_configs: [{ action: "keep", source_labels: ["__meta_kubernetes_endpointslice_name"], regex: "kubernetes" }],
  metric_relabel_configs: [{ action: "drop", source_labels: ["__name__"], regex: ".+" }],
};

/**
 * The name of the file, next to prometheus.yml, with the adapter's certificate. Prometheus trusts only this certificate for the
 * adapter.
 */
export const adapterCertificateFile = "adapter.crt";

/** Measures the adapter itself. The adapter serves these metrics without authentication. */
const adapter = (namespace: string, serverName: string) => ({
  job_name: "prometheus-adapter",
  scheme: "https",
  tls_config: { ca_file: adapterCertificateFile, server_name: serverName },
  kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
  relabel_configs: [
    {
      action: "keep",
      source_labels: [meta("label", "app.kubernetes.io/component"), "__meta_kubernetes_pod_container_port_name"],
      regex: "prometheus-adapter;https",
    },
    copy("__meta_kubernetes_pod_name", "pod"),
  ],
});

interface Measured {
  /** The part `prometheus` of the stack's config. */
  config: PrometheusConfig;
  /** The platform's namespace. */
  namespace: string;
  /** The beginning of the names of tenants' namespaces. */
  tenantPrefix: string;
  /** The DNS name in the adapter's certificate; null without adapter. */
  adapterName: string | null;
}

export function prometheusConfig({ config, namespace, tenantPrefix, adapterName }: Measured): object {
  const { alertmanager } = config;
  const target = alertmanager && `${alertmanager.service}.${alertmanager.namespace}.svc:${alertmanager.port}`;
  return {
    global: { scrape_interval: "15s", evaluation_interval: "15s" },
    rule_files: ["alerts.yml"],
    ...(target ? { alerting: { alertmanagers: [{ static_configs: [{ targets: [target] }] }] } } : {}),
    scrape_configs: [
      platform(namespace),
      sessions(tenantPrefix, config.sessionHistory),
      ...(adapterName === null ? [] : [adapter(namespace, adapterName)]),
      kubernetesApi,
      { job_name: "prometheus", static_configs: [{ targets: ["localhost:9090"] }] },
      ...(config.kubelets ? [kubelets(config.kubelets)] : []),
    ],
  };
}
