/** Finds the inputs that an update would change, and whether the update must replace the object. */
import { isDeepStrictEqual } from "node:util";
import { type Diff, unchanged } from "../protocol/plugin.ts";
import { changedKeys, hasUnknown, type Props, plain, unknown } from "../protocol/values.ts";
import { type Api, isCode } from "./api.ts";
import { normal } from "./inputs.ts";
import type { Kind } from "./kinds.ts";
import { annotated, type KubeObject, metadataOf } from "./object.ts";
import { readiness } from "./ready.ts";
import { fieldManagerOf, oldInputs, oldLive } from "./state.ts";

/** @param api undefined if objects are only written to files */
export async function difference(api: Api | undefined, kind: Kind, state: Props, inputs: Props): Promise<Diff> {
  const [olds, news] = [normal(oldInputs(state)), normal(plain<Props>(inputs))];
  const changed = changedKeys(olds, news);
  const replaces = isElsewhere(oldLive(state), news) ? ["metadata"] : await replacesOf(api, kind, state, news, changed);
  if (replaces === undefined) return unchanged;
  return { changed, replaces, deleteFirst: replaces.length > 0 && hasSameName(oldLive(state), news) };
}

/**
 * @returns the inputs that make a replacement necessary; an empty list if the object can be updated in place; undefined if
 * nothing changes
 */
async function replacesOf(api: Api | undefined, kind: Kind, state: Props, news: Props, changed: string[]) {
  const mustBeReady = annotated(news, "replaceUnready");
  if (changed.length === 0 && !(api && mustBeReady)) return undefined;
  if (api === undefined) return [];
  try {
    const live = await api.find(kind, metadataOf(oldLive(state)));
    if (mustBeReady && live && readiness(live) !== true) return ["metadata"];
    if (changed.length === 0) return undefined;
    if (!live || hasUnknown(news)) return [];
    const then = await api.apply(kind, news, { fieldManager: fieldManagerOf(state), dryRun: true, force: true });
    // If the old and the new inputs differ only in notation, for example 1000m and 1, nothing changes.
    return isDeepStrictEqual(settled(live), settled(then)) ? undefined : [];
  } catch (error) {
    if (isCode(error, 404, 403)) return [];
    if (!isCode(error, 422)) throw error;
    // The API server refuses the change. If it would accept a new object, the object is replaced. Otherwise the update itself
    // fails and shows the reason.
    return (await api.wouldCreate(kind, news)) ? changed : [];
  }
}

const isElsewhere = (live: KubeObject, news: Props): boolean => {
  const [old, { name, namespace }] = [metadataOf(live), metadataOf(news)];
  return (
    news.metadata === unknown ||
    old.name !== name ||
    (old.namespace ?? "default") !== (namespace ?? old.namespace ?? "default")
  );
};

/** Whether the new object has the old object's name and namespace. If the name is generated, a new object gets a new name. */
const hasSameName = (live: KubeObject, news: Props): boolean =>
  !annotated(news, "autonamed") && !isElsewhere(live, news);

/** The object without the fields that only Kubernetes itself changes: the status, and some of the metadata. */
function settled({ metadata, status, ...object }: KubeObject): Props {
  const { managedFields, resourceVersion, generation, ...kept } = metadata;
  return { ...object, metadata: kept };
}
