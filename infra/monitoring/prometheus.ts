import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import type { PrometheusConfig } from "../config/monitoring.ts";
import { quantityValue } from "../config/quantity.ts";
import { contentName } from "../kubernetes/content-name.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { AdapterCertificate } from "./adapter-certificate.ts";
import { alertRules } from "./alerts/index.ts";
import { adapterCertificateFile, prometheusConfig } from "./prometheus-config.ts";

export interface PrometheusArgs {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Prometheus 3 by digest. */
  image: pulumi.Input<string>;
  /** The part `prometheus` of the config, which has the defaults. */
  config: PrometheusConfig;
  /** Whether an autoscaler decides on the number of pods. */
  autoscaled: boolean;
  /** Of the stack's adapter, whose figures are asked for too; null where there is none. */
  adapter: Pick<AdapterCertificate, "certificate" | "serverName"> | null;
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
    const { namespace, config } = args;
    this.url = `http://${name}:9090`;

    const files = pulumi
      .all([namespace, args.adapter?.serverName ?? null, args.adapter?.certificate ?? null])
      .apply(([platform, serverName, certificate]) => ({
        "prometheus.yml": stringify(prometheusConfig(config, platform, serverName)),
        "alerts.yml": stringify(
          alertRules({ ...config, autoscaled: args.autoscaled, adapter: certificate !== null, backups: args.backups }),
        ),
        ...(certificate === null ? {} : { [adapterCertificateFile]: certificate }),
      }));
    const settings = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      {
        metadata: { name: contentName("prometheus-config", files), namespace, labels: labels("prometheus") },
        immutable: true,
        data: files,
      },
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
    const service = new k8s.core.v1.Service(
      name,
      {
        metadata: {
          name,
          namespace,
          labels: labels("prometheus"),
          annotations: { "pulumi.com/skipAwait": "true" },
        },
        spec: { clusterIP: "None", selector: selector("prometheus"), ports: [{ name: "http", port: 9090 }] },
      },
      parent,
    );
    const probe = (path: string) => ({ httpGet: { path: `/-/${path}`, port: "http" }, timeoutSeconds: 3 });
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("prometheus") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("prometheus") },
          template: {
            metadata: { labels: labels("prometheus") },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: true,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              // Time to write what is in memory.
              terminationGracePeriodSeconds: 60,
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
                  resources: {
                    requests: { cpu: "50m", memory: "128Mi", "ephemeral-storage": "32Mi" },
                    limits: { cpu: "1", memory: "1Gi", "ephemeral-storage": "128Mi" },
                  },
                  securityContext: containerSecurity,
                  // Long, as it first reads what an unclean end has left.
                  startupProbe: { ...probe("ready"), periodSeconds: 2, failureThreshold: 300 },
                  readinessProbe: { ...probe("ready"), periodSeconds: 5 },
                  livenessProbe: { ...probe("healthy"), periodSeconds: 20, failureThreshold: 6 },
                  volumeMounts: [
                    { name: "config", mountPath: "/etc/prometheus", readOnly: true },
                    { name: "data", mountPath: "/prometheus" },
                  ],
                },
              ],
              volumes: [
                { name: "config", configMap: { name: settings.metadata.name } },
                { name: "data", persistentVolumeClaim: { claimName: claim.metadata.name } },
              ],
            },
          },
        },
      },
      { parent: this, dependsOn: [binding] },
    );
    this.registerOutputs({});
  }
}
