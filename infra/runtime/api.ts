import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ApiConfig, Autoscaler } from "../config/platform.ts";
import { makeAutoscaler, podMetric, replicas, utilization } from "../kubernetes/autoscaler.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { scaledUtilization } from "../kubernetes/request-scale.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { askPrometheus, requestsPerSecond } from "../monitoring/queries.ts";
import { probes, type RuntimeArgs, runtimePod } from "./pod.ts";

/** The part `api` of the config has the defaults. */
export type ApiArgs = RuntimeArgs & ApiConfig & { autoscaler: Autoscaler; sandboxUrl: string | null };

/** Of its pods and its Service: sessions' ports. */
export const sandboxPort = 3003;

/** The API's ServiceAccount; each tenant's namespace gives it a Role for logs. */
export const apiServiceAccount = "api";

/**
 * The HTTP API: Deployment, autoscaler and Service `api`, port 80 for HTTP, 3001 for WebSocket, 3002 for what runs in
 * the sessions' pods, and 3003 for sessions' ports where the stack has an address for them.
 */
export class Api extends pulumi.ComponentResource {
  constructor(name: string, args: ApiArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Api", name, {}, opts);
    const parent = { parent: this };
    const { platform, nodePort, sandboxNodePort, autoscaling, autoscaler } = args;
    const sandbox = args.sandboxUrl === null ? {} : { sandbox: sandboxPort };
    const { requestScale } = platform.pods;
    const metadata = { name, namespace: platform.namespace, labels: labels("api") };
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { ...metadata, name: apiServiceAccount }, automountServiceAccountToken: false },
      parent,
    );
    const deployment = new k8s.apps.v1.Deployment(
      name,
      {
        metadata,
        spec: {
          ...replicas(autoscaler, autoscaling),
          // Never fewer pods than there were.
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          selector: { matchLabels: selector("api") },
          template: runtimePod("api", args, {
            resources: args.resources,
            placement: "spread",
            // For the logs of sessions.
            account: account.metadata.name,
            // The preStop pause, 25 s for open requests, and a margin.
            gracePeriodSeconds: 40,
            ports: { http: 3000, websocket: 3001, session: 3002, ...sandbox },
            probes: probes(args.readinessFailures),
            // Time for every node to stop sending, before the process closes its ports.
            lifecycle: { preStop: { sleep: { seconds: 5 } } },
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    );
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
    new k8s.core.v1.Service(
      name,
      {
        metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } },
        spec: {
          type: nodePort === undefined && sandboxNodePort === undefined ? "ClusterIP" : "NodePort",
          selector: selector("api"),
          ports: [
            { name: "http", port: 80, targetPort: "http", ...(nodePort === undefined ? {} : { nodePort }) },
            { name: "websocket", port: 3001, targetPort: "websocket" },
            { name: "session", port: 3002, targetPort: "session" },
            ...Object.entries(sandbox).map(([name, port]) => ({
              name,
              port,
              targetPort: name,
              ...(sandboxNodePort !== undefined && { nodePort: sandboxNodePort }),
            })),
          ],
        },
      },
      parent,
    );
    this.registerOutputs();
  }
}
