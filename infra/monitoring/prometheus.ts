import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import type { PrometheusConfig } from "../config/monitoring.ts";
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
  /** The part `prometheus` of the config, including defaults. */
  config: PrometheusConfig;
  /** The beginning of the names of tenants' namespaces. */
  tenantPrefix: string;
  /** Whether an autoscaler sets the number of pods. */
  autoscaled: boolean;
  /** Whether the gateway has separate pods. */
  gateway: boolean;
  /** The certificate of the stack's adapter, which Prometheus measures too; null if the stack has no adapter. */
  adapter: (Record<"certificate" | "serverName", pulumi.Input<string>> & { validity: Validity }) | null;
  /** Whether the stack dumps its Postgres. */
  backups: boolean;
}

/** The uid of the user `nobody` in the official image. */
const uid = 65534;

/**
 * Prometheus' permissions: to find the pods that it measures; with `kubelets`, to find the nodes whose kubelets it measures; and
 * to read /metrics/slis of the Kubernetes API, which shows whether Prometheus reaches this API (prometheus-config.ts).
 */
const rules = (kubelets: boolean) => [
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  { nonResourceURLs: ["/metrics/slis"], verbs: ["get"] },
  ...(kubelets
    ? [
        { apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] },
        { apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] },
      ]
    : []),
];

/** Prometheus' permissions in the namespace `default` to find the addresses of the Kubernetes API. */
const apiRules = [
  { apiGroups: [""], resources: ["services"], verbs: ["list", "watch"] },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
];

/**
 * The size limit of the measurements: four fifths of the volume. Prometheus' write-ahead log and the compaction of blocks
 * need the rest.
 */
export const retentionSize = (volume: string): string => `${Math.floor((quantityValue(volume) * 0.8) / 2 ** 20)}MB`;

/**
 * One Prometheus with a volume. Prometheus measures its targets, evaluates the alert rules, and answers queries, for example of
 * the adapter and of dashboards.
 */
export class Prometheus extends pulumi.ComponentResource {
  /** The address of Prometheus inside the cluster. */
  readonly url: string;

  constructor(name: string, args: PrometheusArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Prometheus", name, {}, opts);
    const parent = { parent: this };
    const { platform, config } = args;
    const { namespace } = platform;
    /** The name of the ClusterRole and its binding, and of the Role and its binding in the namespace `default`. */
    const outside = pulumi.interpolate`${namespace}-prometheus`;
    this.url = `http://${name}:9090`;

    const files = pulumi
      .all([namespace, args.adapter?.serverName ?? null, args.adapter?.certificate ?? null])
      .apply(([namespace, serverName, certificate]) => ({
        "prometheus.yml": stringify(
          prometheusConfig({ config, namespace, tenantPrefix: args.tenantPrefix, adapterName: serverName }),
        ),
        "alerts.yml": stringify(
          alertRules({
            ...config,
            namespace,
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
      { namespace, name: `${name}-config`, labels: labels("prometheus"), data: files },
      parent,
    );
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { name, namespace, labels: labels("prometheus") }, automountServiceAccountToken: false },
      parent,
    );
    // The permissions are cluster-wide, so that a new tenant changes nothing here.
    const role = new k8s.rbac.v1.ClusterRole(
      name,
      {
        metadata: { name: outside, labels: labels("prometheus") },
        rules: rules(config.kubelets !== null),
      },
      parent,
    );
    const subjects = [{ kind: "ServiceAccount", name: account.metadata.name, namespace }];
    const binding = new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: { name: outside, labels: labels("prometheus") },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
        subjects,
      },
      parent,
    );
    const inDefault = { name: outside, namespace: "default", labels: labels("prometheus") };
    const apiRole = new k8s.rbac.v1.Role(`${name}-kubernetes-api`, { metadata: inDefault, rules: apiRules }, parent);
    const apiBinding = new k8s.rbac.v1.RoleBinding(
      `${name}-kubernetes-api`,
      {
        metadata: inDefault,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: apiRole.metadata.name },
        subjects,
      },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      {
        metadata: { name: `${name}-data`, namespace, labels: labels("prometheus") },
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
            distribution: "stays",
            account: account.metadata.name,
            // The time that Prometheus needs to write its memory to the volume.
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
                  // The startup probe allows a long time, because Prometheus reads its write-ahead log after a crash.
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
      { parent: this, dependsOn: [binding, apiBinding], ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs({ url: this.url });
  }
}
