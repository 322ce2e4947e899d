import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { contentName } from "../kubernetes/generations.ts";
import { labels } from "../kubernetes/labels.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { type RuntimeArgs, runtimePod } from "./pod.ts";

export interface MigrationsArgs extends RuntimeArgs {
  /** How many seconds the Job may run, and how long an `up` waits for its end. */
  migrationSeconds: number;
}

/**
 * The Job that migrates the database to the schema of the image. A new Job runs when the image, the settings or the placement
 * change. Components whose pods run the image must depend on this component, so that the pods start after the migration.
 */
export class Migrations extends pulumi.ComponentResource {
  /** Name of the Job. */
  readonly job: pulumi.Output<string>;

  constructor(name: string, args: MigrationsArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Migrations", name, {}, opts);
    const { pods } = args.platform;
    // The pod template of a Job can't be changed, so the Job's name contains a hash of the image, the settings and the placement.
    const { config, secretVariables, secretFiles } = args.settings;
    const jobName = contentName("migrate", [args.image, config, secretVariables, secretFiles, pods.placement]);
    this.job = new k8s.batch.v1.Job(
      name,
      {
        metadata: {
          name: jobName,
          namespace: args.platform.namespace,
          labels: labels("migrate"),
          // The next `up` replaces a failed Job.
          annotations: { "pulumi.com/replaceUnready": "true" },
        },
        spec: {
          backoffLimit: 5,
          activeDeadlineSeconds: args.migrationSeconds,
          template: runtimePod("migrate", args, { restartPolicy: "Never" }),
        },
      },
      // The old Job is deleted first, because a failed `up` may have left a Job with the same name.
      { parent: this, deleteBeforeReplace: true, ...rolloutTimeout(args.migrationSeconds) },
    ).metadata.name;
    this.registerOutputs({ job: this.job });
  }
}
