import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import type { ServedApi } from "../config/adapter-apis.ts";
import type { AdapterConfig } from "../config/monitoring.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod, tmp } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { adapterAccess } from "./adapter-access.ts";
import { adapterRules } from "./adapter-rules.ts";

export interface AdapterArgs {
  platform: PlatformContext;
  /** prometheus-adapter 0.12 by digest. */
  image: pulumi.Input<string>;
  /** The address of Prometheus, for example http://prometheus:9090. */
  prometheusUrl: pulumi.Input<string>;
  /** The part `adapter` of the config, including defaults. */
  config: AdapterConfig;
  /** The APIs that the adapter serves. */
  apis: ServedApi[];
  /** The adapter's certificate as PEM, and the name of the Secret with the certificate and its key. */
  certificate: Record<"certificate" | "secret", pulumi.Input<string>>;
}

/** The uid of the user in the official image. */
const uid = 65534;

/**
 * prometheus-adapter, which serves metrics to Kubernetes' autoscalers. With `autoscaler: hpa`, these are the External metric
 * `bullmq_waiting_jobs` and the Pods metrics `http_requests_per_second` and `berth_open_connections`. With `resourceMetrics`, the
 * adapter also serves CPU and memory. The Kubernetes API server forwards requests to the adapter and trusts only the adapter's
 * certificate.
 */
export class Adapter extends pulumi.ComponentResource {
  /** Names of the Deployment and of its Service. */
  readonly deployment: pulumi.Output<string>;
  readonly service: pulumi.Output<string>;

  constructor(name: string, args: AdapterArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Adapter", name, {}, opts);
    const parent = { parent: this };
    const { platform, config, apis, certificate } = args;
    const { namespace } = platform;
    const meta = (object: string) => ({ name: object, namespace, labels: labels("prometheus-adapter") });

    const rules = { "config.yaml": stringify(adapterRules(apis), { lineWidth: 0 }) };
    const settings = platform.generations.configMap(
      `${name}-config`,
      { namespace, name: `${name}-config`, labels: labels("prometheus-adapter"), data: rules },
      parent,
    );
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: meta(name), automountServiceAccountToken: false },
      parent,
    );
    const access = adapterAccess(name, { namespace, account: account.metadata.name, ...config }, parent);
    const service = new k8s.core.v1.Service(
      name,
      {
        metadata: { ...meta(name), annotations: { "pulumi.com/skipAwait": "true" } },
        spec: { selector: selector("prometheus-adapter"), ports: [{ name: "https", port: 443, targetPort: "https" }] },
      },
      parent,
    );
    const probe = (path: string) => ({ httpGet: { path: `/${path}`, port: "https", scheme: "HTTPS" } });
    const deployment = new k8s.apps.v1.Deployment(
      name,
      {
        metadata: meta(name),
        spec: {
          replicas: config.replicas,
          // At least one pod runs during a rollout, because Kubernetes can't delete namespaces while one of its APIs does not
          // answer.
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("prometheus-adapter") },
          template: confinedPod({
            component: "prometheus-adapter",
            defaults: platform.pods,
            uid,
            account: account.metadata.name,
            distribution: "spread",
            containers: [
              {
                name: "adapter",
                image: args.image,
                args: [
                  "--config=/etc/adapter/config.yaml",
                  pulumi.interpolate`--prometheus-url=${args.prometheusUrl}`,
                  // A new metric appears at the latest after one scrape and this relist interval. A metric without new samples
                  // disappears after the maximum age.
                  "--metrics-relist-interval=10s",
                  "--metrics-max-age=2m",
                  // Anyone may read the adapter's health and its own metrics, because they contain no secrets.
                  "--authorization-always-allow-paths=/livez,/readyz,/metrics",
                  "--secure-port=6443",
                  "--tls-cert-file=/etc/adapter/tls/tls.crt",
                  "--tls-private-key-file=/etc/adapter/tls/tls.key",
                ],
                ports: [{ name: "https", containerPort: 6443 }],
                resources: { requests: { cpu: "25m", memory: "64Mi" }, limits: { cpu: "500m", memory: "256Mi" } },
                scratch: { request: "32Mi", limit: "128Mi" },
                probes: {
                  startup: { ...probe("readyz"), periodSeconds: 1, failureThreshold: 120 },
                  ready: { ...probe("readyz"), periodSeconds: 5 },
                  live: { ...probe("livez"), periodSeconds: 10, failureThreshold: 5 },
                },
              },
            ],
            mounts: [
              {
                name: "config",
                path: "/etc/adapter/config.yaml",
                subPath: "config.yaml",
                readOnly: true,
                volume: { configMap: { name: settings } },
              },
              {
                name: "tls",
                path: "/etc/adapter/tls",
                readOnly: true,
                volume: { secret: { secretName: certificate.secret, defaultMode: 0o440 } },
              },
              tmp("16Mi"),
            ],
          }),
        },
      },
      { parent: this, dependsOn: access, ...rolloutTimeout(platform.rolloutSeconds) },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      name,
      { metadata: meta(name), spec: disruptionBudget(selector("prometheus-adapter")) },
      parent,
    );
    for (const { group, version } of apis)
      new k8s.apiregistration.v1.APIService(
        `${name}-${version}.${group}`,
        {
          metadata: { name: `${version}.${group}`, labels: labels("prometheus-adapter") },
          spec: {
            group,
            version,
            groupPriorityMinimum: 100,
            versionPriority: 100,
            service: { name: service.metadata.name, namespace, port: 443 },
            caBundle: pulumi.output(certificate.certificate).apply((pem) => Buffer.from(pem).toString("base64")),
          },
        },
        // `up` makes the APIService after the adapter has started, and deletes the APIService before the adapter stops, because
        // Kubernetes can't delete namespaces while a registered API does not answer.
        { parent: this, dependsOn: [deployment, ...access] },
      );
    this.deployment = deployment.metadata.name;
    this.service = service.metadata.name;
    this.registerOutputs({ deployment: this.deployment, service: this.service });
  }
}
