import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Autoscaler, GatewayConfig } from "../config/platform.ts";
import { makeAutoscaler, podMetric, utilization } from "../kubernetes/autoscaler.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { scaledUtilization } from "../kubernetes/request-scale.ts";
import { askPrometheus, openConnections } from "../monitoring/queries.ts";
import { probes, type RuntimeArgs, runtimeDeployment } from "./pod.ts";

/** The part `gateway` of the config has the defaults. */
export type GatewayArgs = RuntimeArgs & GatewayConfig & { autoscaler: Autoscaler; sandboxUrl: string | null };

/** The pods' port for sessions' ports, where the stack has an address for these. */
export const sandboxPorts = (sandboxUrl: string | null): Record<string, number> =>
  sandboxUrl === null ? {} : { sandbox: 3003 };

/** The gateway's ServiceAccount; each tenant's namespace gives it a Role for logs, and it has no other right. */
export const gatewayServiceAccount = "gateway";

/** The gateway in pods of its own: Deployment and autoscaler. The Service is with the API's, because it is there without this. */
export class Gateway extends pulumi.ComponentResource {
  constructor(name: string, args: GatewayArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Gateway", name, {}, opts);
    const parent = { parent: this };
    const { platform, autoscaling, autoscaler } = args;
    const metadata = { name, namespace: platform.namespace, labels: labels("gateway") };
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { ...metadata, name: gatewayServiceAccount }, automountServiceAccountToken: false },
      parent,
    );
    const pod = {
      account: account.metadata.name,
      // The preStop pause, 25 s in which clients are sent to another pod and requests end, and a margin.
      gracePeriodSeconds: 40,
      ports: { http: 3000, session: 3002, ...sandboxPorts(args.sandboxUrl) },
      probes: probes(),
      // Time for every node to stop sending, so that whoever is told to come again comes to another pod.
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    };
    const deployment = runtimeDeployment(name, "gateway", args, pod, parent);
    const loads = [
      utilization("cpu", scaledUtilization(autoscaling.cpu, platform.pods.requestScale)),
      podMetric("berth_open_connections", autoscaling.connections, askPrometheus(platform.namespace, openConnections)),
    ];
    makeAutoscaler(name, { kind: autoscaler, deployment, metadata, config: autoscaling, loads }, parent);
    new k8s.policy.v1.PodDisruptionBudget(name, { metadata, spec: disruptionBudget(selector("gateway")) }, parent);
    this.registerOutputs();
  }
}
