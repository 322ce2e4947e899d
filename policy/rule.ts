import type { KubernetesObject } from "./kubernetes.ts";

/** What is wrong, in words that say what to do; nothing where the rule is kept. */
export type Faults = string[];

export interface Rule {
  /** As exceptions call it. */
  name: string;
  description: string;
  /**
   * @param object the one that is looked at
   * @param all all of the stack's, for rules that need them; the object alone for the others
   */
  check: (object: KubernetesObject, all: KubernetesObject[]) => Faults;
  /** The rule needs all of the stack's objects, which are known at the end of a run only. Default: it looks at each alone. */
  needsAll?: boolean;
}
