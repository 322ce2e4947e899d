/** Lists the objects of all sessions in a namespace, by session. */
import type { KubernetesListObject, KubernetesObject } from "@kubernetes/client-node";
import type { SweptObjects } from "../domain/states/compare.ts";
import { isUp } from "../domain/states/podView.ts";
import type { CoreApi } from "./kubernetes.ts";
import { sessionLabel, sessionSelector } from "./names.ts";
import { viewPod } from "./podView.ts";

/** The objects that exist for a session's id. */
export type ListedObjects = Omit<SweptObjects, "namespace">;

const pageSize = 500;

export async function listSessionObjects(
  core: Pick<CoreApi, "listNamespacedPod" | "listNamespacedPersistentVolumeClaim" | "listNamespacedSecret">,
  namespace: string,
): Promise<Map<string, ListedObjects>> {
  const found = new Map<string, ListedObjects>();
  type Query = { namespace: string; labelSelector: string; limit: number; _continue?: string };
  const list = async <T extends KubernetesObject>(
    call: (query: Query) => Promise<KubernetesListObject<T>>,
    factsOf: (object: T) => Partial<ListedObjects>,
  ) => {
    let next: string | undefined;
    do {
      const page = await call({
        namespace,
        labelSelector: sessionSelector,
        limit: pageSize,
        ...(next !== undefined && { _continue: next }),
      });
      for (const object of page.items) {
        const { metadata } = object;
        const id = metadata?.labels?.[sessionLabel];
        if (id === undefined) continue;
        const made = metadata?.creationTimestamp ?? new Date();
        const objects = found.get(id) ?? { pod: false, isOver: false, claim: false, secret: false, since: made };
        found.set(id, { ...objects, ...factsOf(object), since: made < objects.since ? made : objects.since });
      }
      next = page.metadata?._continue || undefined;
    } while (next !== undefined);
  };
  await Promise.all([
    list(
      (query) => core.listNamespacedPod(query),
      (pod) => ({ pod: true, isOver: !isUp(viewPod(pod)) }),
    ),
    list(
      (query) => core.listNamespacedPersistentVolumeClaim(query),
      () => ({ claim: true }),
    ),
    list(
      (query) => core.listNamespacedSecret(query),
      () => ({ secret: true }),
    ),
  ]);
  return found;
}
