import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { contentName } from "../kubernetes/content-name.ts";
import { labels } from "../kubernetes/labels.ts";
import { type RuntimeArgs, runtimePod } from "./pod.ts";

/** Brings the database to the image's schema, once per image and settings. Pods of the image must depend on it. */
export class Migrations extends pulumi.ComponentResource {
  constructor(name: string, args: RuntimeArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Migrations", name, {}, opts);
    // A Job can't be changed, so whatever would change it makes a new one.
    const { config, secretVariables, secretFiles } = args.settings;
    const jobName = contentName("migrate", [args.image, config, secretVariables, secretFiles]);
    new k8s.batch.v1.Job(
      name,
      {
        metadata: {
          name: jobName,
          namespace: args.namespace,
          labels: labels("migrate"),
          // A Job that failed is run anew by the next `up`.
          annotations: { "pulumi.com/replaceUnready": "true" },
        },
        spec: {
          backoffLimit: 5,
          template: runtimePod("migrate", { ...args, container: {}, pod: { restartPolicy: "Never" } }),
        },
      },
      // An `up` that failed may have left the Job of before, and then its name is not free.
      { parent: this, deleteBeforeReplace: true },
    );
    this.registerOutputs({});
  }
}
