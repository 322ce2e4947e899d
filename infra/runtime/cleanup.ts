import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels } from "../kubernetes/labels.ts";
import { type RuntimeArgs, runtimePod } from "./pod.ts";

/**
 * The CronJob `cleanup-expired-sessions`: every night it marks what is over its retention and hands it to the worker,
 * which deletes. It needs Postgres and Redis, and nothing of Kubernetes.
 */
export class Cleanup extends pulumi.ComponentResource {
  constructor(name: string, args: RuntimeArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Cleanup", name, {}, opts);
    new k8s.batch.v1.CronJob(
      name,
      {
        metadata: { name: "cleanup-expired-sessions", namespace: args.platform.namespace, labels: labels("cleanup") },
        spec: {
          schedule: "0 2 * * *",
          timeZone: "Etc/UTC",
          concurrencyPolicy: "Forbid",
          // A night that the cluster slept through is made up for within the hour, or left to the next.
          startingDeadlineSeconds: 3600,
          successfulJobsHistoryLimit: 1,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            metadata: { labels: labels("cleanup") },
            spec: {
              backoffLimit: 3,
              activeDeadlineSeconds: 1800,
              template: runtimePod("cleanup", args, { restartPolicy: "Never" }),
            },
          },
        },
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
