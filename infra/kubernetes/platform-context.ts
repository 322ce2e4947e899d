import type * as pulumi from "@pulumi/pulumi";
import type { Generations } from "./generations.ts";
import type { PodDefaults } from "./pod.ts";

/** Arguments that all components in the platform's namespace share. */
export interface PlatformContext {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Makes the ConfigMaps and Secrets whose name contains a hash of their content. */
  generations: Generations;
  /** Settings that all pods share. */
  pods: PodDefaults;
  /** How long an `up` waits for the pods of a workload. */
  rolloutSeconds: number;
}
