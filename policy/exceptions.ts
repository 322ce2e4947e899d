import type { KubernetesObject } from "./kubernetes.ts";
import type { RuleName } from "./rules/index.ts";

export interface Exception {
  rule: RuleName;
  /** The kind and the Pulumi name of the object, for example `Service api`, or a pattern for several objects. */
  object: string | RegExp;
  /** The stack in which the exception applies. Default: all stacks. */
  stack?: string;
  /** Why the exception does no harm. */
  reason: string;
}

/** Objects with data that the stack `dev` does not protect (`berth:protectData` is false), because the data has no value. */
const thrownAway = [
  "Namespace platform-namespace",
  "PersistentVolumeClaim postgres-data",
  "PersistentVolumeClaim postgres-backup-volume",
  "PersistentVolumeClaim redis-data",
];

/** The objects that may break a rule. A test fails if an exception is no longer necessary for the stacks dev and prod. */
export const exceptions: Exception[] = [
  {
    rule: "probes",
    object: /^DaemonSet (tenant-.+-)?image-puller$/,
    reason:
      "The containers only wait, so that their images stay on the node. They serve nothing that a probe could check.",
  },
  {
    rule: "protected-data",
    object: "PersistentVolumeClaim prometheus-data",
    reason: "The volume holds metrics of a few days, and autoscalers and alerts need only the last minutes.",
  },
  {
    rule: "no-public-service",
    object: "Service api",
    stack: "dev",
    reason: "The local cluster has no ingress controller, and its node ports are open only on loopback.",
  },
  ...thrownAway.map((object) => ({
    rule: "protected-data" as const,
    object,
    stack: "dev",
    reason: "The local cluster holds no data of value.",
  })),
];

/** Returns the exception that allows the object to break the rule in the stack; undefined if no exception allows this. */
export const exceptionFor = (
  rule: string,
  { kind, resource }: KubernetesObject,
  stack: string,
): Exception | undefined =>
  exceptions.find((e) => e.rule === rule && isAbout(e, `${kind} ${resource}`) && (e.stack ?? stack) === stack);

const isAbout = ({ object }: Exception, name: string) =>
  typeof object === "string" ? object === name : object.test(name);
