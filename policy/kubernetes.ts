/** What the rules see of a resource. */
import type { V1Container, V1ObjectMeta, V1PodTemplateSpec } from "@kubernetes/client-node";

/** A Kubernetes object as the program asks for it. */
export interface KubernetesObject {
  kind: string;
  /** Pulumi's name of it, which is known in every preview; with the kind it is unique in a stack. */
  resource: string;
  urn: string;
  metadata: V1ObjectMeta;
  /** All of the manifest. */
  manifest: Manifest;
  /** Pulumi refuses to delete it. */
  protect: boolean;
}

/** A manifest of any kind: each rule knows which fields it asks for. */
// biome-ignore lint/suspicious/noExplicitAny: a type for each kind would say no more than the rules do
export type Manifest = Record<string, any>;

/** What Pulumi knows of a resource, whichever it is. */
export interface PulumiResource {
  /** For example kubernetes:apps/v1:Deployment. */
  type: string;
  name: string;
  urn: string;
  props: Manifest;
  opts: { protect: boolean };
}

/** The Kubernetes object that the resource stands for; undefined for all others and for lists and patches. */
export function kubernetesObject({ type, name, urn, props, opts }: PulumiResource): KubernetesObject | undefined {
  const [, kind] = /^kubernetes:[^:]+:(\w+)$/.exec(type) ?? [];
  if (kind === undefined || /(List|Patch)$/.test(kind)) return undefined;
  return { kind, resource: name, urn, metadata: props.metadata ?? {}, manifest: props, protect: opts.protect };
}

/** The pod that the object is or makes; undefined where it is of another kind. */
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

/** All containers of the pod that the object is or makes, those that run before it included. */
export function containersOf(object: KubernetesObject): V1Container[] {
  const spec = podOf(object)?.spec;
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
