/** A kind of Kubernetes object as a resource of Pulumi. */
import { NotReady, type Resource } from "../protocol/plugin.ts";
import { hasUnknown, markedLike, type Props, plain } from "../protocol/values.ts";
import { type Api, isCode, nameOf } from "./api.ts";
import { difference } from "./difference.ts";
import { checked, withSecrets } from "./inputs.ts";
import type { Kind } from "./kinds.ts";
import { idOf, type KubeObject, metadataOf, parseId, prune } from "./object.ts";
import { fieldManagerOf, oldInputs, oldLive, stateOf } from "./state.ts";
import { type Awaited, type Limits, untilGone, untilReady } from "./waits.ts";

/**
 * @param upsert whether an object that exists already is taken over, as if Pulumi had made it
 * @param force whether fields are taken from other managers
 */
export function clusterResource(
  kind: Kind,
  api: Api,
  { upsert, force }: { upsert: boolean; force: boolean },
): Resource {
  const refuseExisting = async (object: Props) => {
    const found = await api.get(kind, metadataOf(object)).catch((error) => {
      if (!isCode(error, 404)) throw error;
    });
    if (found)
      throw new Error(`${nameOf(object)} is in the cluster already: remove it, import it, or set berth:adoptExisting.`);
  };

  const applied = async (inputs: Props, old: Props, limits: Limits) => {
    const fieldManager = fieldManagerOf(old);
    const object = plain<KubeObject>(inputs);
    if (upsert || Object.keys(old).length > 0) await api.takeOver(kind, object, fieldManager);
    const made = await api.apply(kind, object, { fieldManager, force });
    // It is there now, so whatever fails from here on, the state must have it.
    const { live, problem } = await untilReady(api, kind, made, limits).catch(
      ({ message }: Error): Awaited => ({ live: made, problem: `${nameOf(made)}: ${message}` }),
    );
    const state = stateOf(inputs, live, fieldManager, old.__initialApiVersion);
    if (problem !== undefined) throw new NotReady(problem, idOf(live), state);
    return { id: idOf(live), state };
  };

  /**
   * Asks the API server whether it would take the object: a preview conflicts where the run would. What it can't know is let
   * pass: a namespace to come, an object of the same name that goes first, fields that are taken over first.
   */
  const tried = async (inputs: Props, old: Props) => {
    if (hasUnknown(inputs)) return;
    const [object, fieldManager] = [plain<KubeObject>(inputs), fieldManagerOf(old)];
    try {
      const forced = force || (await api.wouldTakeOver(kind, object, fieldManager));
      await api.apply(kind, object, { fieldManager, dryRun: true, force: forced });
    } catch (error) {
      if (isCode(error, 403, 404)) return;
      if (!(isCode(error, 422) && (await api.wouldCreate(kind, plain(inputs))))) throw error;
    }
  };

  return {
    check: async (request) => checked(kind, request),
    diff: ({ state, inputs }) => difference(api, kind, state, inputs),

    async create({ inputs, preview, ...limits }) {
      if (preview) {
        await tried(inputs, {});
        return { id: "", state: inputs };
      }
      if (!upsert) await refuseExisting(plain(inputs));
      return applied(inputs, {}, limits);
    },

    async read({ id, inputs, state }) {
      try {
        const live = await api.get(kind, parseId(id));
        const { apiVersion, kind: name } = kind;
        const known = Object.keys(inputs).length > 0 ? plain<Props>(inputs) : oldInputs(state);
        const spoken = { ...known, apiVersion, kind: name, metadata: { ...metadataOf(known), ...parseId(id) } };
        const found = withSecrets(prune(live, spoken) as Props, Object.keys(inputs).length > 0 ? inputs : {});
        return { inputs: found, state: stateOf(found, live, fieldManagerOf(state), state.__initialApiVersion) };
      } catch (error) {
        if (isCode(error, 404)) return undefined;
        throw error;
      }
    },

    async update({ state, inputs, preview, ...limits }) {
      if (!preview) return (await applied(inputs, state, limits)).state;
      await tried(inputs, state);
      return inputs;
    },

    async delete({ id, state, ...limits }) {
      const object = { ...kind, ...oldLive(state), metadata: { ...metadataOf(oldLive(state)), ...parseId(id) } };
      try {
        await api.delete(kind, object);
      } catch (error) {
        if (isCode(error, 404)) return;
        throw error;
      }
      await untilGone(api, kind, object, limits);
    },
  };
}

/** @param write,remove what becomes of an object in place of a cluster's */
export function fileResource(
  kind: Kind,
  write: (object: KubeObject) => void,
  remove: (object: KubeObject) => void,
): Resource {
  const written = (inputs: Props, preview: boolean, old: Props) => {
    if (preview) return inputs;
    const object = plain<KubeObject>(inputs);
    write(object);
    return stateOf(inputs, object, fieldManagerOf(old));
  };
  return {
    check: async (request) => checked(kind, request),
    diff: ({ state, inputs }) => difference(undefined, kind, state, inputs),
    create: async ({ inputs, preview }) => ({
      id: preview ? "" : idOf(plain(inputs)),
      state: written(inputs, preview, {}),
    }),
    read: async ({ inputs, state }) => ({ inputs, state: markedLike(state, inputs) as Props }),
    update: async ({ state, inputs, preview }) => written(inputs, preview, state),
    delete: async ({ state }) => remove(oldLive(state)),
  };
}
