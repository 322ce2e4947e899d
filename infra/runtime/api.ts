import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ApiConfig, Autoscaler, GatewayConfig } from "../config/platform.ts";
import { makeAutoscaler, podMetric, utilization } from "../kubernetes/autoscaler.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { scaledUtilization } from "../kubernetes/request-scale.ts";
import { askPrometheus, requestsPerSecond } from "../monitoring/queries.ts";
import { sandboxPorts } from "./gateway.ts";
import { probes, type RuntimeArgs, runtimeDeployment } from "./pod.ts";

type ServicePort = k8s.types.input.core.v1.ServicePort;

/** The part `api` of the config has the defaults. */
export type ApiArgs = RuntimeArgs &
  ApiConfig & {
    autoscaler: Autoscaler;
    gateway: "inside" | GatewayConfig;
    sandboxUrl: string | null;
  };

/** The API's ServiceAccount; where it is the gateway too, each tenant's namespace gives it a Role for logs. */
export const apiServiceAccount = "api";

/**
 * The HTTP API: Deployment, autoscaler and Service `api`, port 80 for HTTP, 3001 for WebSocket. And the Service `gateway`,
 * by which all come in who come from outside (port 80, and 3003 to sessions' ports) or from a session's pod (3002): it leads to the pods that are the
 * gateway, which are the API's own or, where the gateway has a Deployment, that one's; the API must depend on it then.
 */
export class Api extends pulumi.ComponentResource {
  constructor(name: string, args: ApiArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Api", name, {}, opts);
    const parent = { parent: this };
    const { platform, nodePort, sandboxNodePort, autoscaling, autoscaler } = args;
    const sandbox = sandboxPorts(args.sandboxUrl);
    const isGateway = args.gateway === "inside";
    const { requestScale } = platform.pods;
    const metadata = { name, namespace: platform.namespace, labels: labels("api") };
    const service = (component: "api" | "gateway", ports: ServicePort[], dependsOn: pulumi.Resource[]) => {
      const isWayIn = component === (isGateway ? "api" : "gateway");
      const exposed = isWayIn && nodePort !== undefined ? nodePort : undefined;
      return new k8s.core.v1.Service(
        component,
        {
          metadata: {
            name: component,
            namespace: platform.namespace,
            labels: labels(component),
            annotations: { "pulumi.com/skipAwait": "true" },
          },
          spec: {
            type: [exposed, ...ports.map(({ nodePort }) => nodePort)].every((port) => port === undefined)
              ? "ClusterIP"
              : "NodePort",
            selector: selector(isGateway ? "api" : component),
            ports: [
              { name: "http", port: 80, targetPort: "http", ...(exposed === undefined ? {} : { nodePort: exposed }) },
              ...ports,
            ],
          },
        },
        { parent: this, dependsOn },
      );
    };
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { ...metadata, name: apiServiceAccount }, automountServiceAccountToken: false },
      parent,
    );
    const session = { name: "session", port: 3002, targetPort: "session" };
    const ofGateway = [
      session,
      ...Object.entries(sandbox).map(([name, port]) => ({
        name,
        port,
        targetPort: name,
        ...(sandboxNodePort !== undefined && { nodePort: sandboxNodePort }),
      })),
    ];
    const ofApi = [
      { name: "websocket", port: 3001, targetPort: "websocket" },
      // Pods that were started before there was the Service `gateway` know this one.
      session,
    ];
    const pod = {
      account: account.metadata.name,
      // For the logs of sessions.
      withToken: isGateway,
      // The preStop pause, 25 s for open requests, and a margin.
      gracePeriodSeconds: 40,
      ports: { http: 3000, websocket: 3001, session: 3002, ...(isGateway ? sandbox : {}) },
      probes: probes(args.readinessFailures),
      // Time for every node to stop sending, before the process closes its ports.
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    };
    const deploy = (dependsOn: pulumi.Resource[]) =>
      runtimeDeployment(name, "api", args, pod, { parent: this, dependsOn });
    // In the order in which whoever becomes the gateway is there before it is led to, whoever was it is led away from before
    // it goes, and a node port is given up by the one Service before the other takes it.
    let deployment: k8s.apps.v1.Deployment;
    if (isGateway) {
      deployment = deploy([]);
      service("api", ofApi, [service("gateway", ofGateway, [deployment])]);
    } else {
      deployment = deploy([service("gateway", ofGateway, [service("api", ofApi, [])])]);
    }
    const loads = [
      utilization("cpu", scaledUtilization(autoscaling.cpu, requestScale)),
      utilization("memory", scaledUtilization(autoscaling.memory, requestScale)),
      podMetric(
        "http_requests_per_second",
        autoscaling.requestsPerSecond,
        askPrometheus(platform.namespace, requestsPerSecond),
      ),
    ];
    makeAutoscaler(name, { kind: autoscaler, deployment, metadata, config: autoscaling, loads }, parent);
    new k8s.policy.v1.PodDisruptionBudget(name, { metadata, spec: disruptionBudget(selector("api")) }, parent);
    this.registerOutputs();
  }
}
