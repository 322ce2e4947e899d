import type { KubernetesObject } from "./kubernetes.ts";

/** Descriptions of what is wrong and what to do. The list is empty if the object keeps the rule. */
export type Faults = string[];

export interface Rule {
  /** The name by which exceptions refer to the rule. */
  name: string;
  description: string;
  /**
   * @param object the object to check
   * @param all all objects of the stack if the rule sets `needsAll`; otherwise only the object itself
   */
  check: (object: KubernetesObject, all: KubernetesObject[]) => Faults;
  /**
   * The rule needs all objects of the stack, which are known only at the end of a run. Default: the rule checks each object
   * alone.
   */
  needsAll?: boolean;
}
