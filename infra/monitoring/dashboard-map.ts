import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels } from "../kubernetes/labels.ts";
import { dashboard } from "./dashboard.ts";

/** The dashboard as a ConfigMap. The sidecar of Grafana's Helm chart finds the ConfigMap by its label. */
export class DashboardMap extends pulumi.ComponentResource {
  readonly configMap: pulumi.Output<string>;

  constructor(name: string, args: { namespace: pulumi.Input<string> }, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:DashboardMap", name, {}, opts);
    this.configMap = new k8s.core.v1.ConfigMap(
      name,
      {
        metadata: {
          name: "berth-dashboard",
          namespace: args.namespace,
          labels: { ...labels("grafana"), grafana_dashboard: "1" },
        },
        data: { "berth.json": JSON.stringify(dashboard(), null, 1) },
      },
      { parent: this },
    ).metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }
}
