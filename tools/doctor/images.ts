/** What the doctor says about images that nodes lack. Pure. */
import type { V1DaemonSet } from "@kubernetes/client-node";
import type { Config } from "../../infra/config/config.ts";
import { hasImagePuller } from "../../infra/config/image-pullers.ts";
import { tenantNamespace } from "../../infra/config/tenant.ts";
import type { MissingImage } from "../../runtime/src/cluster/missingImages.ts";
import type { Progress } from "./poll.ts";

/** An image puller (DaemonSet `image-puller`) as it is in the cluster. */
export interface Puller {
  namespace: string;
  /** Whether the namespace has the DaemonSet. */
  exists: boolean;
  /** Whether Kubernetes has seen the DaemonSet's newest version. Until then, the two numbers are those of an older version. */
  isCurrent: boolean;
  /** How many nodes should have a pod of the DaemonSet. */
  wanted: number;
  /** How many of these nodes have a pod. The pod may still wait for room. */
  pods: number;
}

/** @param found the DaemonSet; undefined: the namespace has none */
export const pullerOf = (namespace: string, found: Pick<V1DaemonSet, "metadata" | "status"> | undefined): Puller => ({
  namespace,
  exists: found !== undefined,
  isCurrent: (found?.status?.observedGeneration ?? 0) >= (found?.metadata?.generation ?? 0),
  wanted: found?.status?.desiredNumberScheduled ?? 0,
  pods: found?.status?.currentNumberScheduled ?? 0,
});

/** The namespaces in which an `up` with `prepullAgentImage` makes an image puller. */
export const pullerNamespaces = (config: Config): string[] => [
  config.namespace,
  ...config.tenants.filter((tenant) => hasImagePuller(config, tenant)).map((tenant) => tenantNamespace(config, tenant)),
];

/**
 * The wait ends when each puller exists, each node has its pod, and no image is missing. Until then, the text names the pullers
 * that lack pods, or each missing image with its nodes.
 */
export function imagesProgress(pullers: Puller[], missing: MissingImage[]): Progress<void> {
  const absent = pullers.filter(({ exists }) => !exists).map(({ namespace }) => namespace);
  if (absent.length > 0)
    return { waitsFor: `the DaemonSet image-puller is missing in ${absent.join(", ")}`, because: "" };
  const behind = pullers.filter(({ isCurrent }) => !isCurrent).map(({ namespace }) => namespace);
  if (behind.length > 0)
    return { waitsFor: `Kubernetes has not changed the image pullers in ${behind.join(", ")}`, because: "" };
  const fewer = pullers.filter(({ wanted, pods }) => pods < wanted);
  if (fewer.length > 0)
    return {
      waitsFor: "image pullers lack pods",
      because: fewer
        .map(({ namespace, wanted, pods }) => `the one in ${namespace} has pods for ${pods} of ${wanted} nodes`)
        .join("; "),
    };
  if (missing.length === 0) return { done: undefined };
  const nodesOf = (image: string) => new Set(missing.filter((one) => one.image === image).map(({ node }) => node));
  const images = [...new Set(missing.map(({ image }) => image))].sort();
  const because = images.map((image) => `${image} on ${[...nodesOf(image)].sort().join(", ")}`).join("; ");
  return { waitsFor: "nodes lack images", because };
}
