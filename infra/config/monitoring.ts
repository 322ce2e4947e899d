/** What is measured, for whom, and how long it is kept. */
import { z } from "zod";
import { cidr, duration, name, port, replicas, volume } from "./scalars.ts";

const kubelets = z.strictObject({
  nodes: z
    .array(cidr)
    .min(1, { error: "is empty; name the range of the nodes' addresses" })
    .describe("Address ranges of the cluster's nodes, for example 10.0.0.0/16; port 10250 is opened to them."),
  verifyCertificates: z
    .boolean()
    .default(true)
    .describe(
      "Whether the kubelets' certificates must come from the cluster's CA. Many clusters let each kubelet sign its own: there, only false works.",
    ),
});

export const prometheus = z.strictObject({
  volume: volume("20Gi").prefault({}).describe("Its volume; four fifths of it are used."),
  retention: duration
    .default("15d")
    .describe("How long measurements are kept, if the volume doesn't fill before, for example 15d."),
  kubelets: kubelets
    .nullable()
    .default(null)
    .describe("Measure what containers and nodes use, at their kubelets; null for not."),
  alertmanager: z
    .strictObject({
      namespace: name.describe("Its namespace."),
      service: name.describe("Its Service, of the same port as its pods."),
      port: port.default(9093).describe("Its port."),
    })
    .nullable()
    .default(null)
    .describe("The Alertmanager that alerts are sent to; null to only show them."),
  alertAges: z
    .strictObject({
      backup: duration.default("26h").describe("Age of the last dump."),
      restoreCheck: duration.default("50h").describe("Age of the last dump that was restored and compared."),
    })
    .prefault({})
    .describe("From when on an alert is raised; more than the time between two runs of `postgres.backup`."),
  runbooks: z
    .string()
    .default("docs/operating.md")
    .describe("Where docs/operating.md can be read; the alerts' `runbook_url` is this and a heading's anchor."),
  readers: z
    .array(name)
    .default([])
    .describe("Namespaces whose pods may query Prometheus, for example of a Grafana or an adapter of your own."),
});

export const adapter = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "Serve the metrics of `autoscaler: hpa`, and what `resourceMetrics` says. false where an adapter of your own has these APIs: a cluster takes one. docs/monitoring.md has the rules that it needs then.",
    ),
  replicas: replicas.default(2).describe("Pods of the adapter."),
  resourceMetrics: z
    .boolean()
    .default(false)
    .describe(
      "Serve CPU and memory too (metrics.k8s.io), for clusters without metrics-server; needs `prometheus.kubelets`.",
    ),
});

export const grafana = z.strictObject({
  image: z
    .string()
    .regex(/@sha256:[0-9a-f]{64}$/, { error: "has no digest, for example docker.io/grafana/grafana:12.3.0@sha256:…" })
    .describe("Grafana's image, by digest."),
});

export type PrometheusConfig = z.output<typeof prometheus>;
export type AdapterConfig = z.output<typeof adapter>;

/** The adapter can only serve what Prometheus measures. */
export function measurable(check: z.core.ParsePayload<{ prometheus: PrometheusConfig; adapter: AdapterConfig }>): void {
  const { prometheus, adapter } = check.value;
  if (!adapter.enabled || !adapter.resourceMetrics || prometheus.kubelets !== null) return;
  const message = "needs prometheus.kubelets, where CPU and memory are measured";
  check.issues.push({ code: "custom", input: true, path: ["adapter", "resourceMetrics"], message });
}
