/**
 * ConfigMaps and Secrets whose name is made of their content (content-name.ts). Each content is a generation: an object
 * that never changes. A new generation is made before the workloads that name it are rolled, and the old ones stay,
 * because pods of the version before may start at any moment of a rollout, and after it by `kubectl rollout undo`. Each
 * `up` collects the generations that nothing names any more.
 */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { cluster, type FoundGenerations, type Generation } from "./cluster.ts";
import { contentName, nameWithoutContent } from "./content-name.ts";

/** What is younger stays, in milliseconds: an hour. Something may be about to name it. */
const minimumAge = 3_600_000;

/**
 * The generations that may be deleted. Kept are those of the stack as it is now (`current`, names), the newest one before
 * each of them, what a user names, and what is younger than an hour.
 */
export function collectable(
  { generations, users }: FoundGenerations,
  current: ReadonlySet<string>,
  now: Date,
): Generation[] {
  const texts = users.map((user) => JSON.stringify(user));
  // As a value of any field: a name that holds a hash stands for nothing else.
  const isNamed = (name: string) => texts.some((text) => text.includes(JSON.stringify(name)));
  const previous = previousOf(generations, current);
  return generations.filter(
    (generation) =>
      !current.has(generation.name) &&
      !previous.has(generation) &&
      now.getTime() - generation.createdAt.getTime() >= minimumAge &&
      !isNamed(generation.name),
  );
}

/** For each current generation the newest of the others of its kind and family. */
function previousOf(generations: Generation[], current: ReadonlySet<string>): Set<Generation> {
  const family = ({ kind, name }: Generation) => `${kind} ${nameWithoutContent(name)}`;
  const alive = new Set(generations.filter(({ name }) => current.has(name)).map(family));
  const oldestFirst = generations
    .filter((generation) => !current.has(generation.name) && alive.has(family(generation)))
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  return new Set(new Map(oldestFirst.map((generation) => [family(generation), generation])).values());
}

/** What every generation is made of beside its content. */
interface GenerationArgs {
  namespace: pulumi.Input<string>;
  /** Start of the object's name; the rest changes with the content. */
  name: string;
  labels: Record<string, string>;
}

/** The generations of a stack. */
export class Generations {
  readonly #provider: k8s.Provider;
  readonly #names: pulumi.Output<string>[] = [];

  /** @param provider of the stack's other objects, as arguments */
  constructor(provider: k8s.ProviderArgs) {
    this.#provider = new k8s.Provider("generations", {
      ...provider,
      // A content that comes back finds its object: the same, but perhaps with the labels of another version.
      upsertExistingObjects: true,
      enablePatchForce: true,
    });
  }

  /** Makes a ConfigMap that never changes. @param resource its name in the stack @returns the object's name */
  configMap(
    resource: string,
    args: GenerationArgs & { data: pulumi.Input<Record<string, string>> },
    opts: pulumi.CustomResourceOptions,
  ): pulumi.Output<string> {
    const { data } = args;
    const object = { metadata: this.#metadata(args, data), immutable: true, data };
    return new k8s.core.v1.ConfigMap(resource, object, this.#kept(opts)).metadata.name;
  }

  /**
   * Makes a Secret that never changes. Its values must be generated; see `contentName`.
   * @param resource its name in the stack
   * @returns the object's name
   */
  secret(
    resource: string,
    args: GenerationArgs & {
      /** For example kubernetes.io/tls. Default: Opaque. */
      type?: string;
      stringData: pulumi.Input<Record<string, pulumi.Input<string>>>;
      /** What its name is made of. Default: `stringData`. */
      content?: pulumi.Input<unknown>;
    },
    opts: pulumi.CustomResourceOptions,
  ): pulumi.Output<string> {
    const { type, stringData, content = stringData } = args;
    const object = { metadata: this.#metadata(args, content), ...(type && { type }), immutable: true, stringData };
    return new k8s.core.v1.Secret(resource, object, this.#kept(opts)).metadata.name;
  }

  #metadata({ namespace, name, labels }: GenerationArgs, content: pulumi.Input<unknown>) {
    const generation = contentName(name, content);
    this.#names.push(generation);
    return { name: generation, namespace, labels };
  }

  /** Kept in the cluster when Pulumi is through with it. */
  #kept(opts: pulumi.CustomResourceOptions): pulumi.CustomResourceOptions {
    return { ...opts, provider: this.#provider, retainOnDelete: true };
  }

  /**
   * Deletes what may go, in an `up`, and only warns where it can't. To be called when all components are made.
   * @param context of the kubeconfig @param labels that the generations carry
   */
  collect(context: string, namespace: pulumi.Input<string>, labels: Record<string, string>): void {
    if (pulumi.runtime.isDryRun()) return;
    pulumi.all([namespace, pulumi.all(this.#names)]).apply(async ([place, names]) => {
      try {
        const pick = (found: FoundGenerations) => collectable(found, new Set(names), new Date());
        const gone = await cluster.collect(context, place, labels, pick);
        if (gone.length > 0)
          await pulumi.log.info(`No pod can name them any more, so they are deleted: ${gone.join(", ")}.`);
      } catch (error) {
        await pulumi.log.warn(
          `ConfigMaps and Secrets of former versions were not collected: ${(error as Error).message}.`,
        );
      }
    });
  }
}
