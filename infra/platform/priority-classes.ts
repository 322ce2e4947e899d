import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { PriorityClassesConfig } from "../config/priority-classes.ts";
import { labels } from "../kubernetes/labels.ts";

/**
 * The stack's classes without their names and values. The platform's pods may preempt sessions, because sessions can't be reached
 * or ended without the platform. A session waits and never preempts another pod.
 */
const classes: Record<keyof PriorityClassesConfig, { preemptionPolicy: string; description: string }> = {
  platform: {
    preemptionPolicy: "PreemptLowerPriority",
    description: "Berth's API, worker and stores. They may preempt sessions.",
  },
  imagePullers: {
    preemptionPolicy: "Never",
    description:
      "Pods that bring sessions' images to the nodes. They wait for room, before the sessions that need the images.",
  },
  sessions: {
    preemptionPolicy: "Never",
    description: "Sessions of AI agents. They wait until a node has room.",
  },
};

/**
 * Makes the PriorityClasses, which are cluster-wide objects. If a class has the value null in the config, this component does not
 * make the class, because the class must exist already. Pods with one of the classes must depend on this component.
 */
export class PriorityClasses extends pulumi.ComponentResource {
  readonly names: pulumi.Output<string>[];

  constructor(name: string, config: PriorityClassesConfig, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:PriorityClasses", name, {}, opts);
    const made = (["platform", "imagePullers", "sessions"] as const).flatMap((use) => {
      const { name: className, value } = config[use];
      return value === null ? [] : [{ className, value, ...classes[use] }];
    });
    this.names = made.map(
      ({ className, value, preemptionPolicy, description }) =>
        new k8s.scheduling.v1.PriorityClass(
          `${name}-${className}`,
          { metadata: { name: className, labels: labels("platform") }, value, preemptionPolicy, description },
          // Kubernetes allows no change of these fields, so Pulumi deletes the class and makes a new one. While the class of
          // sessions is missing, the worker lets sessions wait.
          { parent: this, replaceOnChanges: ["value", "preemptionPolicy"], deleteBeforeReplace: true },
        ).metadata.name,
    );
    this.registerOutputs({ names: this.names });
  }
}
