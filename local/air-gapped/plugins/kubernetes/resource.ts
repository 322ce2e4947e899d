/** Defines one Pulumi resource type for each kind of Kubernetes object. The objects are in a cluster or in files. */
import { NotReady, type Resource } from "../protocol/plugin.ts";
import { hasUnknown, type Props, plain, withSecretsLike } from "../protocol/values.ts";
import { type Api, ApiError, isCode, nameOf } from "./api.ts";
import { difference } from "./difference.ts";
import { checked, withSecrets } from "./inputs.ts";
import type { Kind } from "./kinds.ts";
import { areTaken } from "./managers.ts";
import { idOf, type KubeObject, metadataOf, parseId, prune } from "./object.ts";
import { removeFile, writeFile } from "./render.ts";
import { fieldManagerOf, oldInputs, oldLive, stateOf } from "./state.ts";
import { type Awaited, type Limits, untilGone, untilReady } from "./waits.ts";

/**
 * @param upsert whether Pulumi takes over an object that exists already, as if Pulumi had made it. If not, the creation fails
 * @param force whether an apply also sets fields that other managers own
 * @param inState the uids of the objects that this run has found in the state; `diff` adds to them. A run that creates an object
 * in place of such an object deletes the old object first
 */
export function clusterResource(
  kind: Kind,
  api: Api,
  { upsert, force, inState }: { upsert: boolean; force: boolean; inState: Set<unknown> },
): Resource {
  const refuse = (object: Props) => {
    throw new Error(`${nameOf(object)} is in the cluster already: remove it, import it, or set berth:adoptExisting.`);
  };

  const applied = async (inputs: Props, old: Props, limits: Limits) => {
    const fieldManager = fieldManagerOf(old);
    const object = plain<KubeObject>(inputs);
    if (upsert || Object.keys(old).length > 0) await api.takeOver(kind, object, fieldManager);
    const made = await api.apply(kind, object, { fieldManager, force });
    // The object exists now, so the state must contain it even if a later call fails.
    const { live, problem } = await untilReady(api, kind, made, limits).catch(
      ({ message }: Error): Awaited => ({ live: made, problem: `${nameOf(made)}: ${message}` }),
    );
    const state = stateOf(inputs, live, fieldManager, old.__initialApiVersion);
    if (problem !== undefined) throw new NotReady(problem, idOf(live), state);
    return { id: idOf(live), state };
  };

  /**
   * Asks the API server whether it would accept the object, so that a preview fails where the run would fail. The errors 403 and
   * 404 are ignored, because the run first makes a missing namespace. The error 422 is ignored if the run can replace the object.
   * @param old the state; undefined if the run creates the object
   */
  const tried = async (inputs: Props, old?: Props) => {
    const [object, fieldManager] = [plain<KubeObject>(inputs), fieldManagerOf(old ?? {})];
    const { name, namespace } = metadataOf(object);
    if (name === undefined || hasUnknown([name, namespace])) return;
    const apply = (force: boolean) => api.apply(kind, object, { fieldManager, dryRun: true, force });
    try {
      const existing = old ? undefined : await api.find(kind, metadataOf(object));
      const isDeletedFirst = existing !== undefined && inState.has(existing.metadata.uid);
      if (existing && !isDeletedFirst && !upsert) refuse(object);
      if (hasUnknown(inputs)) return;
      await apply(force || isDeletedFirst).catch((error: unknown) => {
        // The run takes over the fields of these managers first.
        if (!(error instanceof ApiError && areTaken(error.conflicts, fieldManager))) throw error;
        return apply(true);
      });
    } catch (error) {
      if (isCode(error, 403, 404)) return;
      if (!(isCode(error, 422) && (await api.wouldCreate(kind, plain(inputs))))) throw error;
    }
  };

  return {
    check: async (request) => checked(kind, request),

    diff({ state, inputs }) {
      inState.add(metadataOf(oldLive(state)).uid);
      return difference(api, kind, state, inputs);
    },

    async create({ inputs, preview, ...limits }) {
      if (preview) {
        await tried(inputs);
        return { id: "", state: inputs };
      }
      if (!upsert && (await api.find(kind, metadataOf(plain<Props>(inputs))))) refuse(plain(inputs));
      return applied(inputs, {}, limits);
    },

    async read({ id, inputs, state }) {
      const live = await api.find(kind, parseId(id));
      if (!live) return undefined;
      const { apiVersion, kind: name } = kind;
      const known = Object.keys(inputs).length > 0 ? plain<Props>(inputs) : oldInputs(state);
      const spoken = { ...known, apiVersion, kind: name, metadata: { ...metadataOf(known), ...parseId(id) } };
      const found = withSecrets(prune(live, spoken) as Props, inputs);
      return { inputs: found, state: stateOf(found, live, fieldManagerOf(state), state.__initialApiVersion) };
    },

    async update({ state, inputs, preview, ...limits }) {
      if (!preview) return (await applied(inputs, state, limits)).state;
      await tried(inputs, state);
      return inputs;
    },

    async delete({ id, state, ...limits }) {
      const object = { ...kind, ...oldLive(state), metadata: { ...metadataOf(oldLive(state)), ...parseId(id) } };
      await api.delete(kind, object);
      await untilGone(api, kind, object, limits);
    },
  };
}

/** Makes a resource whose objects are written to files in `directory`, not to a cluster. */
export function fileResource(kind: Kind, directory: string): Resource {
  const written = (inputs: Props, preview: boolean, old: Props) => {
    if (preview) return inputs;
    const object = plain<KubeObject>(inputs);
    writeFile(directory, object);
    return stateOf(inputs, object, fieldManagerOf(old));
  };
  return {
    check: async (request) => checked(kind, request),
    diff: ({ state, inputs }) => difference(undefined, kind, state, inputs),
    create: async ({ inputs, preview }) => ({
      id: preview ? "" : idOf(plain(inputs)),
      state: written(inputs, preview, {}),
    }),
    read: async ({ inputs, state }) => ({ inputs, state: withSecretsLike(state, inputs) as Props }),
    update: async ({ state, inputs, preview }) => written(inputs, preview, state),
    delete: async ({ state }) => removeFile(directory, oldLive(state)),
  };
}
