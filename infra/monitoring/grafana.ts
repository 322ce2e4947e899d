import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { contentName } from "../kubernetes/content-name.ts";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";

export interface GrafanaArgs {
  namespace: pulumi.Input<string>;
  /** By digest. */
  image: string;
  prometheusUrl: string;
  /** The ConfigMap of the dashboard. */
  dashboard: pulumi.Input<string>;
}

/** The user of the official image has 472; any will do, as nothing of the image is written to. */
const uid = 65534;

/** Where Prometheus is, and where the dashboards lie. */
const provisioning = (url: string) => ({
  "datasources.yaml": stringify({
    apiVersion: 1,
    datasources: [{ name: "Prometheus", type: "prometheus", uid: "prometheus", access: "proxy", url, isDefault: true }],
  }),
  "dashboards.yaml": stringify({
    apiVersion: 1,
    providers: [{ name: "berth", type: "file", options: { path: "/etc/dashboards" } }],
  }),
});

/**
 * A Grafana for clusters without one: the dashboard, and nothing that must be kept. Reached by `kubectl port-forward`, as
 * user admin with the password in the Secret.
 */
export class Grafana extends pulumi.ComponentResource {
  constructor(name: string, args: GrafanaArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Grafana", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = args;
    const password = generatedSecret(
      `${name}-password`,
      { namespace, component: "grafana", name: `${name}-password`, key: "password" },
      parent,
    );
    const files = provisioning(args.prometheusUrl);
    const settings = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      {
        metadata: { name: contentName(`${name}-config`, files), namespace, labels: labels("grafana") },
        immutable: true,
        data: files,
      },
      parent,
    );
    const variables = {
      GF_SECURITY_ADMIN_PASSWORD__FILE: "/etc/grafana-password/password",
      GF_PATHS_PROVISIONING: "/etc/provisioning",
      GF_ANALYTICS_REPORTING_ENABLED: "false",
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
      GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false",
    };
    const answers = { httpGet: { path: "/api/health", port: "http" }, timeoutSeconds: 3 };
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name, namespace, labels: labels("grafana") },
        spec: {
          replicas: 1,
          strategy: { type: "Recreate" },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("grafana") },
          template: {
            metadata: { labels: labels("grafana") },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              containers: [
                {
                  name: "grafana",
                  image: args.image,
                  env: Object.entries(variables).map(([variable, value]) => ({ name: variable, value })),
                  ports: [{ name: "http", containerPort: 3000 }],
                  resources: {
                    requests: { cpu: "50m", memory: "128Mi", "ephemeral-storage": "64Mi" },
                    limits: { cpu: "500m", memory: "512Mi", "ephemeral-storage": "512Mi" },
                  },
                  securityContext: containerSecurity,
                  startupProbe: { ...answers, periodSeconds: 2, failureThreshold: 90 },
                  readinessProbe: { ...answers, periodSeconds: 10 },
                  livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 20, failureThreshold: 6 },
                  volumeMounts: [
                    { name: "data", mountPath: "/var/lib/grafana" },
                    { name: "tmp", mountPath: "/tmp" },
                    { name: "password", mountPath: "/etc/grafana-password", readOnly: true },
                    { name: "dashboards", mountPath: "/etc/dashboards", readOnly: true },
                    { name: "config", mountPath: "/etc/provisioning", readOnly: true },
                  ],
                },
              ],
              volumes: [
                { name: "data", emptyDir: { sizeLimit: "256Mi" } },
                { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
                { name: "password", secret: { secretName: password, defaultMode: 0o440 } },
                { name: "dashboards", configMap: { name: args.dashboard } },
                {
                  name: "config",
                  configMap: {
                    name: settings.metadata.name,
                    items: ["datasources", "dashboards"].map((kind) => ({
                      key: `${kind}.yaml`,
                      path: `${kind}/berth.yaml`,
                    })),
                  },
                },
              ],
            },
          },
        },
      },
      parent,
    );
    this.registerOutputs({});
  }
}
