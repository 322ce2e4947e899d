/** The config of Prometheus, the adapter and Grafana. */
import { z } from "zod";
import { cidr, duration, name, port, replicas, volume } from "./scalars.ts";

const kubelets = z.strictObject({
  nodes: z
    .array(cidr)
    .min(1, { error: "is empty; name the range of the nodes' addresses" })
    .describe(
      "Address ranges of the cluster's nodes, for example 10.0.0.0/16. A network policy lets Prometheus reach port 10250 there.",
    ),
  verifyCertificates: z
    .boolean()
    .default(true)
    .describe(
      "Whether the kubelets' certificates must be signed by the cluster's CA. In many clusters each kubelet signs its own certificate; such clusters need false.",
    ),
});

export const prometheus = z.strictObject({
  volume: volume("20Gi")
    .prefault({})
    .describe(
      "Prometheus' volume. Prometheus deletes its oldest measurements when they fill four fifths of the volume.",
    ),
  retention: duration
    .default("15d")
    .describe(
      "How long Prometheus keeps measurements, for example 15d. Prometheus deletes old measurements earlier if all measurements together fill four fifths of the volume.",
    ),
  sessionHistory: z
    .boolean()
    .default(true)
    .describe(
      "Whether Prometheus records how much CPU, memory, disk and network each session uses, so that `GET /v1/sessions/:id/metrics?from=…` can answer. Each session pod then has 7 more series, and the pods that answer the call may query Prometheus.",
    ),
  kubelets: kubelets
    .nullable()
    .default(null)
    .describe(
      "Measure the CPU and memory of containers and nodes at the kubelets. Null: Prometheus does not measure them.",
    ),
  alertmanager: z
    .strictObject({
      namespace: name.describe("The Alertmanager's namespace."),
      service: name.describe("The Alertmanager's Service. The Service and its pods must have the same port."),
      port: port.default(9093).describe("The Alertmanager's port."),
    })
    .nullable()
    .default(null)
    .describe("The Alertmanager that receives the alerts. Null: Prometheus shows the alerts and sends them nowhere."),
  alertAges: z
    .strictObject({
      backup: duration.default("26h").describe("The highest age of the last dump."),
      restoreCheck: duration.default("50h").describe("The highest age of the last successful restore check."),
    })
    .prefault({})
    .describe(
      "An alert fires when the last dump of Postgres, or the last successful restore check, is older than the age below. Each age must be longer than the time between two dumps or two restore checks; see `postgres.backup`.",
    ),
  runbooks: z
    .string()
    .default("docs/operating.md")
    .describe(
      "The address of docs/operating.md. An alert's `runbook_url` is this address with the anchor of a heading.",
    ),
  readers: z
    .array(name)
    .default([])
    .describe("Namespaces whose pods may query Prometheus, for example the namespace of your own Grafana or adapter."),
});

export const adapter = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "Whether the stack's adapter serves the metrics for `autoscaler: hpa`, and CPU and memory if `resourceMetrics` is true. Set false if your own adapter serves these APIs, because a cluster allows one server for each API. docs/monitoring.md has the rules that your adapter needs.",
    ),
  replicas: replicas.default(2).describe("The number of the adapter's pods."),
  resourceMetrics: z
    .boolean()
    .default(false)
    .describe(
      "Whether the adapter serves CPU and memory too (metrics.k8s.io), for clusters without metrics-server. This needs `prometheus.kubelets`.",
    ),
});

export const grafana = z.strictObject({
  image: z
    .string()
    .regex(/@sha256:[0-9a-f]{64}$/, {
      error: "has no digest; write for example docker.io/grafana/grafana:12.3.0@sha256:…",
    })
    .describe("Grafana's image, by digest."),
});

export type PrometheusConfig = z.output<typeof prometheus>;
export type AdapterConfig = z.output<typeof adapter>;

/** Refuses an adapter that would serve CPU and memory when Prometheus does not measure them. */
export function measurable(check: z.core.ParsePayload<{ prometheus: PrometheusConfig; adapter: AdapterConfig }>): void {
  const { prometheus, adapter } = check.value;
  if (!adapter.enabled || !adapter.resourceMetrics || prometheus.kubelets !== null) return;
  const message = "needs prometheus.kubelets, because Prometheus measures CPU and memory at the kubelets; set it";
  check.issues.push({ code: "custom", input: true, path: ["adapter", "resourceMetrics"], message });
}
