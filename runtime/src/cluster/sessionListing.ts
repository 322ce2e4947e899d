/** Lists the volume claims and Secrets of all sessions in a namespace, by session. The pods are known from the watches. */
import { type KubernetesListObject, type KubernetesObject, setHeaderOptions } from "@kubernetes/client-node";
import type { CoreApi } from "./kubernetes.ts";
import { sessionLabel, sessionSelector } from "./names.ts";
import { type PageQuery, pagesOf } from "./pages.ts";

/** Which of these objects exist for a session's id, and when the first of them was created. */
export interface ListedObjects {
  since: Date;
  volumeClaim: boolean;
  secret: boolean;
}

/** Asks for the objects' metadata only: the content of a Secret is not needed here. */
const metadataOnly = setHeaderOptions(
  "Accept",
  "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
);

/** Makes one request for each kind and 500 objects. Throws if the Kubernetes API server does not answer, or refuses. */
export async function listVolumeClaimsAndSecrets(
  core: Pick<CoreApi, "listNamespacedPersistentVolumeClaim" | "listNamespacedSecret">,
  namespace: string,
): Promise<Map<string, ListedObjects>> {
  const found = new Map<string, ListedObjects>();
  type Query = PageQuery & { namespace: string; labelSelector: string };
  const list = async (
    kind: "volumeClaim" | "secret",
    call: (query: Query) => Promise<KubernetesListObject<KubernetesObject>>,
  ) => {
    for await (const { items } of pagesOf((page) => call({ namespace, labelSelector: sessionSelector, ...page }))) {
      for (const { metadata } of items) {
        const id = metadata?.labels?.[sessionLabel];
        if (id === undefined) continue;
        const made = metadata?.creationTimestamp ?? new Date();
        const objects = found.get(id) ?? { volumeClaim: false, secret: false, since: made };
        found.set(id, { ...objects, [kind]: true, since: made < objects.since ? made : objects.since });
      }
    }
  };
  await Promise.all([
    list("volumeClaim", (query) => core.listNamespacedPersistentVolumeClaim(query, metadataOnly)),
    list("secret", (query) => core.listNamespacedSecret(query, metadataOnly)),
  ]);
  return found;
}
