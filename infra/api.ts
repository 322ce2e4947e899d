import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels, selector } from "./kubernetes/labels.ts";
import { probes, runtimePod } from "./runtime-pod.ts";
import type { RuntimeSettings } from "./settings.ts";

export interface ApiArgs {
  namespace: pulumi.Input<string>;
  /** The runtime image by digest. */
  image: pulumi.Input<string>;
  settings: RuntimeSettings;
  replicas: number;
  /** Opens port 80 of the Service on this port of every node. Default: the Service is reached inside the cluster only. */
  nodePort?: number | undefined;
}

/** The HTTP API: Deployment and Service `api`, port 80 for HTTP and 3001 for WebSocket. */
export class Api extends pulumi.ComponentResource {
  constructor(name: string, args: ApiArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Api", name, {}, opts);
    const parent = { parent: this };
    const { namespace, nodePort } = args;
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name, namespace, labels: labels("api") },
        spec: {
          replicas: args.replicas,
          // Never fewer pods than asked for.
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("api") },
          template: runtimePod("api", {
            ...args,
            // The preStop pause, 25 s for open requests, and a margin.
            pod: { terminationGracePeriodSeconds: 40 },
            container: {
              ports: [
                { name: "http", containerPort: 3000 },
                { name: "websocket", containerPort: 3001 },
              ],
              ...probes,
              // Time for every node to stop sending, before the process closes its ports.
              lifecycle: { preStop: { sleep: { seconds: 5 } } },
            },
          }),
        },
      },
      parent,
    );
    new k8s.core.v1.Service(
      name,
      {
        metadata: { name, namespace, labels: labels("api"), annotations: { "pulumi.com/skipAwait": "true" } },
        spec: {
          type: nodePort === undefined ? "ClusterIP" : "NodePort",
          selector: selector("api"),
          ports: [
            { name: "http", port: 80, targetPort: "http", ...(nodePort === undefined ? {} : { nodePort }) },
            { name: "websocket", port: 3001, targetPort: "websocket" },
          ],
        },
      },
      parent,
    );
    this.registerOutputs({});
  }
}
