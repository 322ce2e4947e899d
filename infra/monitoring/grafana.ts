import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod, tmp } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";

export interface GrafanaArgs {
  platform: PlatformContext;
  /** Grafana's image by digest. */
  image: pulumi.Input<string>;
  prometheusUrl: pulumi.Input<string>;
  /** The name of the ConfigMap with the dashboard. */
  dashboard: pulumi.Input<string>;
}

/** The uid of the pod. The official image uses 472, but any uid works, because the pod does not write to the image's files. */
const uid = 65534;

/** Grafana's provisioning files: the address of Prometheus and the folder of the dashboards. */
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
 * A Grafana for clusters that have none. This Grafana shows Berth's dashboard and stores no data. Users reach it
 * through `kubectl port-forward` and log in as admin with the password in the Secret.
 */
export class Grafana extends pulumi.ComponentResource {
  /** Name of the Deployment. */
  readonly deployment: pulumi.Output<string>;
  /** The Secret with the password. */
  readonly secret: pulumi.Output<string>;

  constructor(name: string, args: GrafanaArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Grafana", name, {}, opts);
    const parent = { parent: this };
    const { platform } = args;
    const { namespace } = platform;
    this.secret = generatedSecret(
      `${name}-password`,
      { platform, component: "grafana", name: `${name}-password`, key: "password" },
      parent,
    );
    const settings = platform.generations.configMap(
      `${name}-config`,
      {
        namespace,
        name: `${name}-config`,
        labels: labels("grafana"),
        data: pulumi.output(args.prometheusUrl).apply(provisioning),
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
    this.deployment = new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name, namespace, labels: labels("grafana") },
        spec: {
          replicas: 1,
          strategy: { type: "Recreate" },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("grafana") },
          template: confinedPod({
            component: "grafana",
            defaults: platform.pods,
            uid,
            containers: [
              {
                name: "grafana",
                image: args.image,
                env: Object.entries(variables).map(([variable, value]) => ({ name: variable, value })),
                ports: [{ name: "http", containerPort: 3000 }],
                resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { cpu: "500m", memory: "512Mi" } },
                scratch: { limit: "512Mi" },
                probes: {
                  startup: { ...answers, periodSeconds: 2, failureThreshold: 90 },
                  ready: { ...answers, periodSeconds: 10 },
                  live: { tcpSocket: { port: "http" }, periodSeconds: 20, failureThreshold: 6 },
                },
              },
            ],
            mounts: [
              { name: "data", path: "/var/lib/grafana", volume: { emptyDir: { sizeLimit: "256Mi" } } },
              tmp("64Mi"),
              {
                name: "password",
                path: "/etc/grafana-password",
                readOnly: true,
                volume: { secret: { secretName: this.secret, defaultMode: 0o440 } },
              },
              {
                name: "dashboards",
                path: "/etc/dashboards",
                readOnly: true,
                volume: { configMap: { name: args.dashboard } },
              },
              {
                name: "config",
                path: "/etc/provisioning",
                readOnly: true,
                volume: {
                  configMap: {
                    name: settings,
                    items: ["datasources", "dashboards"].map((kind) => ({
                      key: `${kind}.yaml`,
                      path: `${kind}/berth.yaml`,
                    })),
                  },
                },
              },
            ],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    ).metadata.name;
    this.registerOutputs({ deployment: this.deployment, secret: this.secret });
  }
}
