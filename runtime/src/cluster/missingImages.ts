/** Which images are not on their nodes yet, as the pods of the image pullers show. */
import type { V1Pod } from "@kubernetes/client-node";
import type { CoreApi } from "./kubernetes.ts";

/** Selects the pods of the DaemonSets `image-puller`. Each container of such a pod uses an image that the pod's node must pull. */
const pullerSelector = "app.kubernetes.io/name=image-puller";

export interface MissingImage {
  node: string;
  image: string;
}

/** Returns the images that the puller of a namespace has not pulled yet, once for each node. Pods without a node are ignored. */
export async function missingImages(
  core: Pick<CoreApi, "listNamespacedPod">,
  namespace: string,
): Promise<MissingImage[]> {
  const { items } = await core.listNamespacedPod({ namespace, labelSelector: pullerSelector });
  const missing = items.flatMap(missingOf).map((one) => [`${one.node} ${one.image}`, one] as const);
  return [...new Map(missing).values()];
}

function missingOf({ metadata, spec, status }: V1Pod): MissingImage[] {
  const node = spec?.nodeName;
  if (spec === undefined || node === undefined || metadata?.deletionTimestamp !== undefined) return [];
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  // A container's status has an image id as soon as the image was pulled. The id stays even if the container fails.
  const pulled = new Set(statuses.flatMap(({ name, imageID }) => (imageID === "" ? [] : [name])));
  return [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ name, image = "" }) =>
    pulled.has(name) ? [] : [{ node, image }],
  );
}
