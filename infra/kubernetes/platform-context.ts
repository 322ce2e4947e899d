import type * as pulumi from "@pulumi/pulumi";
import type { Generations } from "./generations.ts";
import type { PodDefaults } from "./pod.ts";

/** What every component in the platform's namespace is made with; the same value for all. */
export interface PlatformContext {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Makes the ConfigMaps and Secrets that are named by their content. */
  generations: Generations;
  /** What all pods have in common. */
  pods: PodDefaults;
  /** How long an `up` waits for the pods of a workload. */
  rolloutSeconds: number;
}
