import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { sessionPriority } from "../config/tenant.ts";
import { labels } from "../kubernetes/labels.ts";

/** The PriorityClass of the platform's own pods. */
export const platformPriority = "berth-platform";

/**
 * Who goes first when a node is full. The platform may push out sessions, as without it none can be reached or ended; a
 * session never pushes out another, it waits. The numbers are far below those of the cluster's own classes (2000000000).
 */
export const priorityClasses = {
  [platformPriority]: {
    value: 1_000_000,
    preemptionPolicy: "PreemptLowerPriority",
    description: "Berth's API, worker and stores. They may push out sessions.",
  },
  [sessionPriority]: {
    value: 1_000,
    preemptionPolicy: "Never",
    description: "Sessions of AI agents. They wait for room.",
  },
} as const;

/** The PriorityClasses, which belong to the whole cluster. Pods that name one must depend on it. */
export class PriorityClasses extends pulumi.ComponentResource {
  constructor(name: string, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:PriorityClasses", name, {}, opts);
    for (const [className, { value, preemptionPolicy, description }] of Object.entries(priorityClasses))
      new k8s.scheduling.v1.PriorityClass(
        className,
        { metadata: { name: className, labels: labels("platform") }, value, preemptionPolicy, description },
        { parent: this },
      );
    this.registerOutputs();
  }
}
