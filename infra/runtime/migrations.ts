import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { contentName } from "../kubernetes/content-name.ts";
import { labels } from "../kubernetes/labels.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { type RuntimeArgs, runtimePod } from "./pod.ts";

/** Brings the database to the image's schema, once per image and settings. Pods of the image must depend on it. */
export class Migrations extends pulumi.ComponentResource {
  constructor(name: string, args: RuntimeArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Migrations", name, {}, opts);
    const { rolloutSeconds } = args.platform;
    // A Job can't be changed, so whatever would change it makes a new one.
    const { config, secretVariables, secretFiles } = args.settings;
    const jobName = contentName("migrate", [args.image, config, secretVariables, secretFiles]);
    new k8s.batch.v1.Job(
      name,
      {
        metadata: {
          name: jobName,
          namespace: args.platform.namespace,
          labels: labels("migrate"),
          // A Job that failed is run anew by the next `up`.
          annotations: { "pulumi.com/replaceUnready": "true" },
        },
        spec: {
          backoffLimit: 5,
          activeDeadlineSeconds: rolloutSeconds,
          template: runtimePod("migrate", args, { restartPolicy: "Never" }),
        },
      },
      // An `up` that failed may have left the Job of before, and then its name is not free.
      { parent: this, deleteBeforeReplace: true, ...rolloutTimeout(rolloutSeconds) },
    );
    this.registerOutputs();
  }
}
