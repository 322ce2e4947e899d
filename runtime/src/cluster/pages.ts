/** Reads long lists from the Kubernetes API server. */
import type { KubernetesListObject, KubernetesObject } from "@kubernetes/client-node";

/** What a call needs to read one page of a list. */
export interface PageQuery {
  limit: number;
  _continue?: string;
}

/** The pages of a list, one after the other. All pages show the same state of the cluster. Throws what `call` throws. */
export async function* pagesOf<T extends KubernetesObject>(
  call: (query: PageQuery) => Promise<KubernetesListObject<T>>,
): AsyncGenerator<KubernetesListObject<T>> {
  let next: string | undefined;
  do {
    const page = await call({ limit: 500, ...(next !== undefined && { _continue: next }) });
    yield page;
    next = page.metadata?._continue || undefined;
  } while (next !== undefined);
}
