import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import type { ServedApi } from "../config/adapter-apis.ts";
import type { AdapterConfig } from "../config/monitoring.ts";
import { contentName } from "../kubernetes/content-name.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";
import { spread } from "../kubernetes/spread.ts";
import { adapterAccess } from "./adapter-access.ts";
import type { AdapterCertificate } from "./adapter-certificate.ts";
import { adapterRules } from "./adapter-rules.ts";

export interface AdapterArgs {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** prometheus-adapter 0.12 by digest. */
  image: pulumi.Input<string>;
  /** Where Prometheus answers, for example http://prometheus:9090. */
  prometheusUrl: string;
  /** The part `adapter` of the config, which has the defaults. */
  config: AdapterConfig;
  /** What it serves. */
  apis: ServedApi[];
  certificate: AdapterCertificate;
}

/** The user of the official image. */
const uid = 65534;

/**
 * prometheus-adapter: External metric `bullmq_waiting_jobs` and Pods metric `http_requests_per_second` for Berth's own
 * autoscalers and, by config, CPU and memory. Kubernetes calls it as a part of its own API, and trusts its one certificate.
 */
export class Adapter extends pulumi.ComponentResource {
  constructor(name: string, args: AdapterArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Adapter", name, {}, opts);
    const parent = { parent: this };
    const { namespace, config, apis, certificate } = args;
    const meta = (object: pulumi.Input<string>) => ({ name: object, namespace, labels: labels("prometheus-adapter") });

    const rules = { "config.yaml": stringify(adapterRules(apis), { lineWidth: 0 }) };
    const settings = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      { metadata: meta(contentName(`${name}-config`, rules)), immutable: true, data: rules },
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
          // Never none: while Kubernetes can't reach one of its APIs, namespaces aren't deleted.
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("prometheus-adapter") },
          template: {
            metadata: { labels: labels("prometheus-adapter") },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: true,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              ...spread(selector("prometheus-adapter")),
              containers: [
                {
                  name: "adapter",
                  image: args.image,
                  args: [
                    "--config=/etc/adapter/config.yaml",
                    `--prometheus-url=${args.prometheusUrl}`,
                    // A new metric appears after at most this and one scrape; one that paused for less than the age stays.
                    "--metrics-relist-interval=10s",
                    "--metrics-max-age=2m",
                    // Its own figures are nobody's secret.
                    "--authorization-always-allow-paths=/livez,/readyz,/metrics",
                    "--secure-port=6443",
                    "--tls-cert-file=/etc/adapter/tls/tls.crt",
                    "--tls-private-key-file=/etc/adapter/tls/tls.key",
                  ],
                  ports: [{ name: "https", containerPort: 6443 }],
                  resources: {
                    requests: { cpu: "25m", memory: "64Mi", "ephemeral-storage": "32Mi" },
                    limits: { cpu: "500m", memory: "256Mi", "ephemeral-storage": "128Mi" },
                  },
                  securityContext: containerSecurity,
                  startupProbe: { ...probe("readyz"), periodSeconds: 1, failureThreshold: 120 },
                  readinessProbe: { ...probe("readyz"), periodSeconds: 5 },
                  livenessProbe: { ...probe("livez"), periodSeconds: 10, failureThreshold: 5 },
                  volumeMounts: [
                    { name: "config", mountPath: "/etc/adapter/config.yaml", subPath: "config.yaml", readOnly: true },
                    { name: "tls", mountPath: "/etc/adapter/tls", readOnly: true },
                    { name: "tmp", mountPath: "/tmp" },
                  ],
                },
              ],
              volumes: [
                { name: "config", configMap: { name: settings.metadata.name } },
                { name: "tls", secret: { secretName: certificate.secret, defaultMode: 0o440 } },
                { name: "tmp", emptyDir: { sizeLimit: "16Mi" } },
              ],
            },
          },
        },
      },
      { parent: this, dependsOn: access },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      name,
      { metadata: meta(name), spec: disruptionBudget(selector("prometheus-adapter")) },
      parent,
    );
    for (const { group, version } of apis)
      new k8s.apiregistration.v1.APIService(
        `${version}.${group}`,
        {
          metadata: { name: `${version}.${group}`, labels: labels("prometheus-adapter") },
          spec: {
            group,
            version,
            groupPriorityMinimum: 100,
            versionPriority: 100,
            service: { name: service.metadata.name, namespace, port: 443 },
            caBundle: certificate.certificate.apply((pem) => Buffer.from(pem).toString("base64")),
          },
        },
        // Last to come and first to go: an API that is announced but doesn't answer keeps namespaces from being deleted.
        { parent: this, dependsOn: [deployment, ...access] },
      );
    this.registerOutputs({});
  }
}
