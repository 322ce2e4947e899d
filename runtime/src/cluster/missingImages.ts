/** What the pods of the image pullers show: which images are not on their nodes yet, and which nodes have all images. */
import type { V1Pod } from "@kubernetes/client-node";
import type { Tenant } from "../domain/tenants.ts";
import type { CoreApi } from "./kubernetes.ts";

/** Selects the pods of the DaemonSets `image-puller`. Each container of such a pod uses an image that the pod's node must pull. */
const pullerSelector = "app.kubernetes.io/name=image-puller";

export interface MissingImage {
  node: string;
  image: string;
}

export interface Pullers {
  /**
   * The images that the puller has not pulled yet, once for each node. If a node has no room for the puller's pod, the node lacks
   * all images of the pod.
   */
  missing: MissingImage[];
  /** The names of the nodes on which the puller's pod is ready: the node answers and has all images. */
  nodes: string[];
}

/**
 * The image pullers: the platform's one, whose `tenant` is empty, and those of tenants.
 * @param platform the platform's namespace
 */
export const pullersOf = (
  platform: string,
  tenants: Pick<Tenant, "name" | "namespace" | "hasImagePuller">[],
): { namespace: string; tenant: string }[] => [
  { namespace: platform, tenant: "" },
  ...tenants.filter(({ hasImagePuller }) => hasImagePuller).map(({ namespace, name }) => ({ namespace, tenant: name })),
];

/** Reads the pods of the image puller of a namespace. */
export async function readPullers(core: Pick<CoreApi, "listNamespacedPod">, namespace: string): Promise<Pullers> {
  const { items } = await core.listNamespacedPod({ namespace, labelSelector: pullerSelector });
  const missing = items.flatMap(missingOf).map((one) => [`${one.node} ${one.image}`, one] as const);
  const nodes = items.filter(isReady).flatMap((pod) => nodeOf(pod) ?? []);
  return { missing: [...new Map(missing).values()], nodes: [...new Set(nodes)] };
}

/** Returns the images that the puller of a namespace has not pulled yet; see `Pullers`. */
export async function missingImages(
  core: Pick<CoreApi, "listNamespacedPod">,
  namespace: string,
): Promise<MissingImage[]> {
  return (await readPullers(core, namespace)).missing;
}

const isReady = ({ status }: V1Pod) =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

/**
 * The node of a DaemonSet's pod. A DaemonSet names the node in the pod's affinity, so the node is known before the scheduler binds
 * the pod. Undefined if the pod is being deleted, or if the node can't run the pod at all; see `isUnsuitable`.
 */
function nodeOf(pod: V1Pod): string | undefined {
  const { metadata, spec } = pod;
  if (metadata?.deletionTimestamp !== undefined) return undefined;
  if (spec?.nodeName !== undefined) return spec.nodeName;
  if (isUnsuitable(pod)) return undefined;
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const fields = terms.flatMap(({ matchFields = [] }) => matchFields);
  return fields.find(({ key }) => key === "metadata.name")?.values?.[0];
}

/** The scheduler's words for a node whose labels the pod excludes. */
const byLabels = /node affinity\/selector|\[NodeAffinity\]/;

/**
 * Whether the pod's node selector excludes the pod's own node, so that no session runs there either. Such a node exists if
 * a RuntimeClass selects nodes (`scheduling.nodeSelector`): Kubernetes adds this selector to each pod, and the DaemonSet
 * does not know of it. Then the scheduler names no other reason, for example no lack of memory.
 */
function isUnsuitable({ status }: V1Pod): boolean {
  const condition = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (condition?.status !== "False") return false;
  // For example: 0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match Pod's node affinity/selector. preemption: …
  const [, reasons] = /nodes are available: (.*?)(\. |\.?$)/s.exec(condition.message ?? "") ?? [];
  return reasons?.split(", ").every((one) => byLabels.test(one)) ?? false;
}

function missingOf(pod: V1Pod): MissingImage[] {
  const { spec, status } = pod;
  const node = nodeOf(pod);
  if (spec === undefined || node === undefined) return [];
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  // A container's status has an image id as soon as the image was pulled. The id stays even if the container fails.
  const pulled = new Set(statuses.flatMap(({ name, imageID }) => (imageID === "" ? [] : [name])));
  return [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ name, image = "" }) =>
    pulled.has(name) ? [] : [{ node, image }],
  );
}
