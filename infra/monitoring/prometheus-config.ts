/** What Prometheus measures: prometheus.yml as data. */
import type { PrometheusConfig } from "../config/monitoring.ts";
import { sessionSelector, tenantLabel } from "../kubernetes/labels.ts";

/** Where the pod finds its ServiceAccount's token and the cluster's CA. */
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The name of a label or annotation as Prometheus has it. */
const meta = (kind: "label" | "annotation", key: string) =>
  `__meta_kubernetes_pod_${kind}_${key.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`;

const copy = (source: string, target: string) => ({ source_labels: [source], target_label: target });

/** Pods that are annotated and still run, at the port of their annotation. */
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

/** The platform's own pods. Ten seconds, so that an autoscaler sees a figure within thirty. */
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
 * Session pods of all tenants, found by their labels, so that a new tenant changes nothing here. What answers there is not
 * trusted: it may say little, and only names of its own. Their address is their label, as there is no end to their names.
 */
const sessions = {
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
  relabel_configs: [...annotatedPods, copy(meta("label", tenantLabel), "tenant")],
  metric_relabel_configs: [
    {
      action: "keep",
      source_labels: ["__name__"],
      regex: "session_[a-z_]+",
    },
  ],
};

/** CPU and memory of containers and nodes. The light endpoint: cAdvisor's has fifty times as much. */
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

/** Beside prometheus.yml: the one certificate by which the adapter is known. */
export const adapterCertificateFile = "adapter.crt";

/** The adapter's own figures; it asks nobody who wants them. */
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

/**
 * @param config the stack's
 * @param namespace the platform's
 * @param adapterName the name in the adapter's certificate; null without adapter
 */
export function prometheusConfig(config: PrometheusConfig, namespace: string, adapterName: string | null): object {
  const { alertmanager } = config;
  const target = alertmanager && `${alertmanager.service}.${alertmanager.namespace}.svc:${alertmanager.port}`;
  return {
    global: { scrape_interval: "15s", evaluation_interval: "15s" },
    rule_files: ["alerts.yml"],
    ...(target ? { alerting: { alertmanagers: [{ static_configs: [{ targets: [target] }] }] } } : {}),
    scrape_configs: [
      platform(namespace),
      sessions,
      ...(adapterName === null ? [] : [adapter(namespace, adapterName)]),
      { job_name: "prometheus", static_configs: [{ targets: ["localhost:9090"] }] },
      ...(config.kubelets ? [kubelets(config.kubelets)] : []),
    ],
  };
}
