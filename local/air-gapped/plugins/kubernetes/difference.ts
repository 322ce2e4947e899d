/** What an update would change, and whether the object must be made anew for it. */
import { type Diff, unchanged } from "../protocol/plugin.ts";
import { changedKeys, hasUnknown, type Props, plain, same, unknown } from "../protocol/values.ts";
import { type Api, isCode } from "./api.ts";
import { normal } from "./inputs.ts";
import type { Kind } from "./kinds.ts";
import { annotated, type KubeObject, metadataOf } from "./object.ts";
import { readiness } from "./ready.ts";
import { fieldManagerOf, oldInputs, oldLive } from "./state.ts";

/** @param api undefined where objects only become files */
export async function difference(api: Api | undefined, kind: Kind, state: Props, inputs: Props): Promise<Diff> {
  const [olds, news] = [normal(oldInputs(state)), normal(plain<Props>(inputs))];
  const changed = changedKeys(olds, news);
  const replaces = isElsewhere(oldLive(state), news) ? ["metadata"] : await mustBeAnew(api, kind, state, news, changed);
  if (replaces === undefined) return unchanged;
  return { changed, replaces, deleteFirst: replaces.length > 0 && hasSameName(oldLive(state), news) };
}

/** @returns the changed inputs that can't be changed in place; undefined where nothing changes after all */
async function mustBeAnew(api: Api | undefined, kind: Kind, state: Props, news: Props, changed: string[]) {
  if (api === undefined) return changed.length === 0 ? undefined : [];
  if (annotated(news, "replaceUnready") && (await isUnready(api, kind, oldLive(state)))) return ["metadata"];
  if (changed.length === 0) return undefined;
  if (hasUnknown(news)) return [];
  try {
    const live = await api.get(kind, metadataOf(oldLive(state)));
    const then = await api.apply(kind, news, { fieldManager: fieldManagerOf(state), dryRun: true, force: true });
    // The same in other words: 1000m and 1.
    return same(settled(live), settled(then)) ? undefined : [];
  } catch (error) {
    if (isCode(error, 404, 403)) return [];
    if (!isCode(error, 422)) throw error;
    // The API server refuses it as a change; does it as a new object too? If so, the update will tell what is wrong.
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

/** Whether the new object takes the old one's place. */
const hasSameName = (live: KubeObject, news: Props): boolean =>
  !annotated(news, "autonamed") && !isElsewhere(live, news);

/** The object without what changes by itself. */
function settled({ metadata, status, ...object }: KubeObject): Props {
  const { managedFields, resourceVersion, generation, ...kept } = metadata;
  return { ...object, metadata: kept };
}

async function isUnready(api: Api, kind: Kind, live: KubeObject): Promise<boolean> {
  try {
    return readiness(await api.get(kind, metadataOf(live))) !== true;
  } catch (error) {
    if (isCode(error, 404)) return false;
    throw error;
  }
}
