import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels, selector } from "./kubernetes/labels.ts";
import { probes, runtimePod } from "./runtime-pod.ts";
import type { RuntimeSettings } from "./settings.ts";

export interface WorkerArgs {
  namespace: pulumi.Input<string>;
  /** The runtime image by digest. */
  image: pulumi.Input<string>;
  settings: RuntimeSettings;
  replicas: number;
}

/** The worker's ServiceAccount; each tenant's namespace gives it a Role. */
export const workerServiceAccount = "worker";

/** The worker, the only part of Berth that talks to Kubernetes. */
export class Worker extends pulumi.ComponentResource {
  constructor(name: string, args: WorkerArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Worker", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = args;
    const account = new k8s.core.v1.ServiceAccount(
      name,
      {
        metadata: { name: workerServiceAccount, namespace, labels: labels("worker") },
        automountServiceAccountToken: false,
      },
      parent,
    );
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name, namespace, labels: labels("worker") },
        spec: {
          replicas: args.replicas,
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector("worker") },
          template: runtimePod("worker", {
            ...args,
            pod: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: true,
              // 25 s for the jobs of this process, and a margin.
              terminationGracePeriodSeconds: 35,
            },
            container: { ports: [{ name: "http", containerPort: 3000 }], ...probes },
          }),
        },
      },
      parent,
    );
    this.registerOutputs({});
  }
}
