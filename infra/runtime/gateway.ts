import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Autoscaler, GatewayConfig } from "../config/platform.ts";
import { makeAutoscaler, podMetric, utilization } from "../kubernetes/autoscaler.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { scaledUtilization } from "../kubernetes/request-scale.ts";
import { askPrometheus, openConnections } from "../monitoring/queries.ts";
import { probes, type RuntimeArgs, runtimeDeployment } from "./pod.ts";

/** The arguments contain the config section `gateway`, including default values. */
export type GatewayArgs = RuntimeArgs & GatewayConfig & { autoscaler: Autoscaler; sandboxUrl: string | null };

/** The port of the gateway's pods for sessions' ports, if the stack has a `sandboxUrl`. */
export const sandboxPorts = (sandboxUrl: string | null): Record<string, number> =>
  sandboxUrl === null ? {} : { sandbox: 3003 };

/**
 * The gateway's ServiceAccount. A Role in each tenant's namespace lets the account read logs; the account has no other
 * permission.
 */
export const gatewayServiceAccount = "gateway";

/**
 * The gateway with separate pods: Deployment and autoscaler. The component `Api` makes the Service `gateway`, because the
 * Service also exists if the API's pods are the gateway.
 */
export class Gateway extends pulumi.ComponentResource {
  /** Name of the Deployment. */
  readonly deployment: pulumi.Output<string>;

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
      // The grace period covers 5 s of preStop pause, 25 s in which requests end and clients reconnect to other pods, and a
      // margin.
      gracePeriodSeconds: 40,
      ports: { http: 3000, session: 3002, ...sandboxPorts(args.sandboxUrl) },
      probes: probes(),
      // In this pause, every node should stop sending to the pod, so that clients then reconnect to another pod.
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    };
    const deployment = runtimeDeployment(name, "gateway", args, pod, parent);
    const loads = [
      utilization("cpu", scaledUtilization(autoscaling.cpu, platform.pods.requestScale)),
      podMetric("berth_open_connections", autoscaling.connections, askPrometheus(platform.namespace, openConnections)),
    ];
    makeAutoscaler(name, { kind: autoscaler, deployment, metadata, config: autoscaling, loads }, parent);
    new k8s.policy.v1.PodDisruptionBudget(name, { metadata, spec: disruptionBudget(selector("gateway")) }, parent);
    this.deployment = deployment.metadata.name;
    this.registerOutputs({ deployment: this.deployment });
  }
}
