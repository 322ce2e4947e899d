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

/** The arguments contain the config section `api`, including default values. */
export type ApiArgs = RuntimeArgs &
  ApiConfig & {
    autoscaler: Autoscaler;
    gateway: "inside" | GatewayConfig;
    sandboxUrl: string | null;
  };

/**
 * The API's ServiceAccount. If the gateway has no pods of its own, the API's pods are the gateway. Then a Role in
 * each tenant's namespace lets the account read logs.
 */
export const apiServiceAccount = "api";

/**
 * The HTTP API: Deployment, autoscaler and Service `api`, with port 80 for HTTP, port 3001 for WebSocket and port 3002 for
 * sessions' pods. This component also makes the Service `gateway`: port 80 and, with a `sandboxUrl`, port 3003 (sessions' ports)
 * receive the requests of the Ingress, and port 3002 is for sessions' pods.
 *
 * Without a Deployment of the gateway, the Service `gateway` selects the API's pods. Then the Service `api` has the node ports,
 * and the pods of new sessions report to the Service `api`.
 *
 * With a Deployment of the gateway, the Service `gateway` selects the pods of that Deployment and has the node ports, and the pods
 * of new sessions report to the Service `gateway`. In this case `opts.dependsOn` must contain the component `Gateway`, so that
 * Pulumi makes the gateway's pods before the Service selects them.
 */
export class Api extends pulumi.ComponentResource {
  /** Names of the Deployment and of the two Services. */
  readonly deployment: pulumi.Output<string>;
  readonly service: pulumi.Output<string>;
  readonly gateway: pulumi.Output<string>;

  constructor(name: string, args: ApiArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Api", name, {}, opts);
    const parent = { parent: this };
    const { platform, nodePort, sandboxNodePort, autoscaling, autoscaler } = args;
    const sandbox = sandboxPorts(args.sandboxUrl);
    const isGateway = args.gateway === "inside";
    const { requestScale } = platform.pods;
    const metadata = { name, namespace: platform.namespace, labels: labels("api") };
    // All node ports are on the Service that receives the requests from outside. The other one is a ClusterIP Service, because a
    // NodePort Service would keep a node port that its spec does not name any more.
    const wayIn = isGateway ? "api" : "gateway";
    const exposed = (component: string, port: number | undefined) =>
      component === wayIn && port !== undefined ? { nodePort: port } : {};
    const service = (component: "api" | "gateway", more: ServicePort[], dependsOn: pulumi.Resource[]) => {
      const ports = [{ name: "http", port: 80, targetPort: "http", ...exposed(component, nodePort) }, ...more];
      return new k8s.core.v1.Service(
        component === "api" ? name : `${name}-${component}`,
        {
          metadata: {
            name: component,
            namespace: platform.namespace,
            labels: labels(component),
            annotations: { "pulumi.com/skipAwait": "true" },
          },
          spec: {
            type: ports.some((port) => "nodePort" in port) ? "NodePort" : "ClusterIP",
            selector: selector(isGateway ? "api" : component),
            ports,
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
    const ofSandbox = (component: string) =>
      Object.entries(sandbox).map(([name, port]) => ({
        name,
        port,
        targetPort: name,
        ...exposed(component, sandboxNodePort),
      }));
    const ofGateway = [session, ...ofSandbox("gateway")];
    const ofApi = [
      { name: "websocket", port: 3001, targetPort: "websocket" },
      // Session pods that were made while the API's pods were the gateway use this port of the Service `api`.
      session,
      ...(isGateway && sandboxNodePort !== undefined ? ofSandbox("api") : []),
    ];
    const pod = {
      account: account.metadata.name,
      // The gateway needs a token to read the logs of sessions.
      withToken: isGateway,
      // The grace period covers 5 s of preStop pause, 25 s in which open requests end, and a margin.
      gracePeriodSeconds: 40,
      ports: { http: 3000, websocket: 3001, session: 3002, ...(isGateway ? sandbox : {}) },
      probes: probes(args.readinessFailures),
      // In this pause, every node should stop sending to the pod. Then the process closes its ports.
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    };
    const deploy = (dependsOn: pulumi.Resource[]) =>
      runtimeDeployment(name, "api", args, pod, { parent: this, dependsOn });
    // The order of these changes matters when the gateway moves between the API's pods and separate pods. The Service
    // `gateway` selects the new gateway pods only after they have started. The old gateway pods stop only after the Service
    // `gateway` has stopped selecting them. The node ports move from one of the Services `api` and `gateway` to the other one.
    // The Service that loses the node ports is changed first, because two Services can't have the same node port.
    let deployment: k8s.apps.v1.Deployment;
    let services: Record<"api" | "gateway", k8s.core.v1.Service>;
    if (isGateway) {
      deployment = deploy([]);
      const gateway = service("gateway", ofGateway, [deployment]);
      services = { gateway, api: service("api", ofApi, [gateway]) };
    } else {
      const api = service("api", ofApi, []);
      services = { api, gateway: service("gateway", ofGateway, [api]) };
      deployment = deploy([services.gateway]);
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
    this.deployment = deployment.metadata.name;
    this.service = services.api.metadata.name;
    this.gateway = services.gateway.metadata.name;
    this.registerOutputs({ deployment: this.deployment, service: this.service, gateway: this.gateway });
  }
}
