import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import type { PrometheusConfig } from "../config/monitoring.ts";
import { quantityValue } from "../config/quantity.ts";
import type { Validity } from "../kubernetes/certificate.ts";
import { headlessService } from "../kubernetes/headless-service.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import { alertRules } from "./alerts/index.ts";
import { adapterCertificateFile, prometheusConfig } from "./prometheus-config.ts";

export interface PrometheusArgs {
  platform: PlatformContext;
  /** Prometheus 3 by digest. */
  image: pulumi.Input<string>;
  /** The part `prometheus` of the config, which has the defaults. */
  config: PrometheusConfig;
  /** Whether an autoscaler decides on the number of pods. */
  autoscaled: boolean;
  /** Whether the gateway has pods of its own. */
  gateway: boolean;
  /** Of the stack's adapter, whose figures are asked for too; null where there is none. */
  adapter: (Record<"certificate" | "serverName", pulumi.Input<string>> & { validity: Validity }) | null;
  /** Whether the stack dumps its Postgres. */
  backups: boolean;
}

/** The user `nobody` of the official image. */
const uid = 65534;

/** Discovers the pods that it measures; with kubelets, the nodes too. */
const rules = (kubelets: boolean) => [
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  ...(kubelets
    ? [
        { apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] },
        { apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] },
      ]
    : []),
];

/** Four fifths of the volume: the log of what is not yet in blocks, and blocks that are being joined, need room too. */
export const retentionSize = (volume: string): string => `${Math.floor((quantityValue(volume) * 0.8) / 2 ** 20)}MB`;

/** One Prometheus with a volume of its own. It measures, judges (alert rules) and answers the adapter and dashboards. */
export class Prometheus extends pulumi.ComponentResource {
  /** Where it answers, inside the cluster. */
  readonly url: string;

  constructor(name: string, args: PrometheusArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Prometheus", name, {}, opts);
    const parent = { parent: this };
    const { platform, config } = args;
    const { namespace } = platform;
    this.url = `http://${name}:9090`;

    const files = pulumi
      .all([namespace, args.adapter?.serverName ?? null, args.adapter?.certificate ?? null])
      .apply(([place, serverName, certificate]) => ({
        "prometheus.yml": stringify(prometheusConfig(config, place, serverName)),
        "alerts.yml": stringify(
          alertRules({
            ...config,
            gateway: args.gateway,
            autoscaled: args.autoscaled,
            adapter: args.adapter?.validity ?? null,
            backups: args.backups,
          }),
        ),
        ...(certificate === null ? {} : { [adapterCertificateFile]: certificate }),
      }));
    const settings = platform.generations.configMap(
      `${name}-config`,
      { namespace, name: "prometheus-config", labels: labels("prometheus"), data: files },
      parent,
    );
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { name, namespace, labels: labels("prometheus") }, automountServiceAccountToken: false },
      parent,
    );
    // For all namespaces, so that a new tenant changes nothing here.
    const role = new k8s.rbac.v1.ClusterRole(
      name,
      {
        metadata: { name: "berth-prometheus", labels: labels("prometheus") },
        rules: rules(config.kubelets !== null),
      },
      parent,
    );
    const binding = new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: { name: "berth-prometheus", labels: labels("prometheus") },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
        subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace }],
      },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      {
        metadata: { name: "prometheus-data", namespace, labels: labels("prometheus") },
        spec: volumeClaimSpec(config.volume),
      },
      parent,
    );
    const port = { name: "http", port: 9090 };
    const service = headlessService(name, { namespace, component: "prometheus", port }, parent);
    const probe = (path: string) => ({ httpGet: { path: `/-/${path}`, port: "http" }, timeoutSeconds: 3 });
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("prometheus") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("prometheus") },
          template: confinedPod({
            component: "prometheus",
            defaults: platform.pods,
            uid,
            account: account.metadata.name,
            // Time to write what is in memory.
            gracePeriodSeconds: 60,
            containers: [
              {
                name: "prometheus",
                image: args.image,
                args: [
                  "--config.file=/etc/prometheus/prometheus.yml",
                  "--storage.tsdb.path=/prometheus",
                  `--storage.tsdb.retention.time=${config.retention}`,
                  `--storage.tsdb.retention.size=${retentionSize(config.volume.size)}`,
                  "--storage.tsdb.wal-compression",
                ],
                ports: [{ name: "http", containerPort: 9090 }],
                resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { cpu: "1", memory: "1Gi" } },
                scratch: { request: "32Mi", limit: "128Mi" },
                probes: {
                  // Long, as it first reads what an unclean end has left.
                  startup: { ...probe("ready"), periodSeconds: 2, failureThreshold: 300 },
                  ready: { ...probe("ready"), periodSeconds: 5 },
                  live: { ...probe("healthy"), periodSeconds: 20, failureThreshold: 6 },
                },
              },
            ],
            mounts: [
              { name: "config", path: "/etc/prometheus", readOnly: true, volume: { configMap: { name: settings } } },
              {
                name: "data",
                path: "/prometheus",
                volume: { persistentVolumeClaim: { claimName: claim.metadata.name } },
              },
            ],
          }),
        },
      },
      { parent: this, dependsOn: [binding], ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs({ url: this.url });
  }
}
