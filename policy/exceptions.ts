import type { KubernetesObject } from "./kubernetes.ts";
import type { RuleName } from "./rules/index.ts";

export interface Exception {
  rule: RuleName;
  /** Kind and Pulumi's name: `Service api`. */
  object: string;
  /** The stack in which it may be. Default all. */
  stack?: string;
  /** Why it does no harm there. */
  reason: string;
}

/** The machine's own cluster is made to be thrown away, and `berth:protectData` is false there. */
const thrownAway = [
  "Namespace berth",
  "PersistentVolumeClaim postgres-data",
  "PersistentVolumeClaim postgres-backup-volume",
  "PersistentVolumeClaim redis-data",
];

/** What may break a rule. A test finds those that are no longer needed. */
export const exceptions: Exception[] = [
  {
    rule: "probes",
    object: "DaemonSet image-puller",
    reason: "It sleeps so that its image stays on the node; there is nothing that could be asked.",
  },
  {
    rule: "protected-data",
    object: "PersistentVolumeClaim prometheus-data",
    reason: "Metrics of some days: autoscalers and alerts need the last minutes only.",
  },
  ...["Service api", "Service gateway"].map((object) => ({
    rule: "no-public-service" as const,
    object,
    stack: "dev",
    reason: "The machine's own cluster has no ingress controller; its node ports are open on loopback only.",
  })),
  ...thrownAway.map((object) => ({
    rule: "protected-data" as const,
    object,
    stack: "dev",
    reason: "What is on the machine's own cluster is made to be thrown away.",
  })),
];

/** The exception that lets the object break the rule in the stack, if there is one. */
export const exceptionFor = (
  rule: string,
  { kind, resource }: KubernetesObject,
  stack: string,
): Exception | undefined =>
  exceptions.find((e) => e.rule === rule && e.object === `${kind} ${resource}` && (e.stack ?? stack) === stack);
