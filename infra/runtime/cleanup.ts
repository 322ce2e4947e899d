import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels } from "../kubernetes/labels.ts";
import { type RuntimeArgs, runtimePod } from "./pod.ts";

/**
 * The CronJob `cleanup-expired-sessions`. Every night the CronJob marks ended sessions whose workspace has been kept long
 * enough, and makes a job for each of them. The worker then deletes the workspace. The CronJob also deletes old logs,
 * the tasks of ended sessions, and expired tickets and links. The CronJob needs Postgres and Redis, but no access to Kubernetes.
 */
export class Cleanup extends pulumi.ComponentResource {
  /** Name of the CronJob. */
  readonly cronJob: pulumi.Output<string>;

  constructor(name: string, args: RuntimeArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Cleanup", name, {}, opts);
    this.cronJob = new k8s.batch.v1.CronJob(
      name,
      {
        metadata: { name: "cleanup-expired-sessions", namespace: args.platform.namespace, labels: labels("cleanup") },
        spec: {
          schedule: "0 2 * * *",
          timeZone: "Etc/UTC",
          concurrencyPolicy: "Forbid",
          // If a run can't start within an hour, Kubernetes skips the run. The next night's run then does the work.
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
    ).metadata.name;
    this.registerOutputs({ cronJob: this.cronJob });
  }
}
