import type * as pulumi from "@pulumi/pulumi";
import type { Generations } from "./generations.ts";
import type { PodDefaults } from "./pod.ts";

/** Arguments that all components in the platform's namespace share. */
export interface PlatformContext {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Makes the ConfigMaps and Secrets whose name contains a hash of their content. */
  generations: Generations;
  /** Settings of the components' pods. Their placement is that of the platform's pods or that of the stores; see index.ts. */
  pods: PodDefaults;
  /** How long an `up` waits for the pods of a workload. */
  rolloutSeconds: number;
}
