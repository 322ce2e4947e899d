/** Translates Pulumi's record of a resource into the Kubernetes object that the rules check. */
import type { V1Container, V1ObjectMeta, V1PodTemplateSpec } from "@kubernetes/client-node";

/** A Kubernetes object as the Pulumi program declares it. */
export interface KubernetesObject {
  kind: string;
  /** The Pulumi name of the object, which every preview knows. Kind and name together are unique in a stack. */
  resource: string;
  urn: string;
  metadata: V1ObjectMeta;
  /** The whole manifest. */
  manifest: Manifest;
  /** Whether Pulumi refuses to delete the object. */
  protect: boolean;
}

/** The manifest of an object of any kind. Each rule knows the fields that it reads. */
// biome-ignore lint/suspicious/noExplicitAny: types for each kind would only repeat what the rules say
export type Manifest = Record<string, any>;

/** The part of Pulumi's record of a resource that the rules need. */
export interface PulumiResource {
  /** The type, for example kubernetes:apps/v1:Deployment. */
  type: string;
  name: string;
  urn: string;
  props: Manifest;
  opts: { protect: boolean };
}

/** Returns the Kubernetes object of the resource; undefined for lists, patches and resources that are not of Kubernetes. */
export function kubernetesObject({ type, name, urn, props, opts }: PulumiResource): KubernetesObject | undefined {
  const [, kind] = /^kubernetes:[^:]+:(\w+)$/.exec(type) ?? [];
  if (kind === undefined || /(List|Patch)$/.test(kind)) return undefined;
  return { kind, resource: name, urn, metadata: props.metadata ?? {}, manifest: props, protect: opts.protect };
}

/** Returns the pod template of the object; undefined if the object creates no pods. */
export function podOf({ kind, manifest }: Pick<KubernetesObject, "kind" | "manifest">): V1PodTemplateSpec | undefined {
  switch (kind) {
    case "Pod":
      return manifest;
    case "Deployment":
    case "StatefulSet":
    case "DaemonSet":
    case "ReplicaSet":
    case "ReplicationController":
    case "Job":
      return manifest.spec?.template;
    case "CronJob":
      return manifest.spec?.jobTemplate?.spec?.template;
    default:
      return undefined;
  }
}

/** Returns all containers of the object's pods, including init containers. */
export function containersOf(object: KubernetesObject): V1Container[] {
  const spec = podOf(object)?.spec;
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
