import type * as pulumi from "@pulumi/pulumi";
import { scaleRequests } from "../kubernetes/request-scale.ts";
import { platformPriority } from "./priority-classes.ts";

export interface PlatformPodsArgs {
  /** Multiplies the requests of all pods, for example 0.1. */
  requestScale: number;
  /** Secrets of the namespace with which images are pulled. */
  imagePullSecrets: string[];
}

/**
 * What all pods of the platform have in common, whichever component makes them: their priority, the Secret that pulls
 * their image, and the scale of their requests. Put into the `transformations` of the components.
 */
export const platformPods =
  (args: PlatformPodsArgs): pulumi.ResourceTransformation =>
  ({ type, props, opts }) =>
    type.startsWith("kubernetes:") ? { props: withPlatformPods(props, args), opts } : undefined;

/** The inputs of a Kubernetes resource with its pods as above; those of a resource without pods come back equal. */
export function withPlatformPods<T>(inputs: T, { requestScale, imagePullSecrets }: PlatformPodsArgs): T {
  const common = {
    priorityClassName: platformPriority,
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
  };
  return scaleRequests(withPodDefaults(inputs, common), requestScale);
}

/** Adds the defaults to the pod's spec, which is where the containers are. */
function withPodDefaults<T>(inputs: T, defaults: object): T {
  const { spec } = inputs as { spec?: Record<string, unknown> };
  const inner = spec?.template ?? spec?.jobTemplate;
  if (spec?.containers) return { ...inputs, spec: { ...defaults, ...spec } };
  if (!inner) return inputs;
  const key = spec?.template ? "template" : "jobTemplate";
  return { ...inputs, spec: { ...spec, [key]: withPodDefaults(inner, defaults) } };
}
