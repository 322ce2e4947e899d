/**
 * Generations are immutable ConfigMaps and Secrets whose name contains a hash of their content (content-name.ts). For new
 * content, `up` makes a new generation before it rolls out the workloads that use the generation. The old generation stays,
 * because pods of the previous version may start during the rollout, and after a `kubectl rollout undo`. Each `up` deletes old
 * generations that no object refers to; see `collectable`.
 */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type ClusterAccess, cluster, type FoundGenerations, type Generation } from "./cluster.ts";
import { nameWithContent, nameWithoutContent } from "./content-name.ts";

/**
 * The name of a generation. When the content changes, the name changes, and all workloads that refer to the name are rolled out
 * again. The content of a Secret must be a generated value of 128 bits or more: the name contains a part of the hash and is not
 * secret, so somebody could check guesses of a simpler value.
 */
export const contentName = (name: string, content: pulumi.Input<unknown>): pulumi.Output<string> =>
  pulumi.unsecret((pulumi.output(content) as pulumi.Output<unknown>).apply((value) => nameWithContent(name, value)));

/** One hour in milliseconds. A younger generation is not deleted, because an object may soon refer to it. */
const minimumAge = 3_600_000;

/**
 * The generations that may be deleted. These are kept: the current generations, the previous generation of each current one,
 * generations that another object refers to, and generations younger than an hour.
 * @param current names of the stack's current generations
 */
export function collectable(
  { generations, users }: FoundGenerations,
  current: ReadonlySet<string>,
  now: Date,
): Generation[] {
  const texts = users.map((user) => JSON.stringify(user));
  // A name with a hash is unique. So if any field of an object in `users` has this value, the object refers to the generation.
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

/**
 * The previous generations: for each current one, the newest other object with the same kind and the same name except the hash.
 */
function previousOf(generations: Generation[], current: ReadonlySet<string>): Set<Generation> {
  const family = ({ kind, name }: Generation) => `${kind} ${nameWithoutContent(name)}`;
  const alive = new Set(generations.filter(({ name }) => current.has(name)).map(family));
  const oldestFirst = generations
    .filter((generation) => !current.has(generation.name) && alive.has(family(generation)))
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  return new Set(new Map(oldestFirst.map((generation) => [family(generation), generation])).values());
}

/** The arguments of every generation except its content. */
interface GenerationArgs {
  namespace: pulumi.Input<string>;
  /** The first part of the object's name. The second part is a hash of the content. */
  name: string;
  labels: Record<string, string>;
}

/** The generations of a stack. */
export class Generations {
  readonly #provider: k8s.Provider;
  readonly #names: pulumi.Output<string>[] = [];

  /**
   * @param provider the arguments of the provider for the stack's other objects
   * @param options the options of that provider
   */
  constructor(provider: k8s.ProviderArgs, options: pulumi.ResourceOptions = {}) {
    this.#provider = new k8s.Provider(
      "generations",
      {
        ...provider,
        // If earlier content returns, its object gets the earlier name. An object with this name may still exist, with the labels
        // of another version, so `up` takes over that object.
        upsertExistingObjects: true,
        enablePatchForce: true,
      },
      options,
    );
  }

  /** Makes an immutable ConfigMap. @param resource the resource's name in the stack @returns the object's name */
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
   * Makes an immutable Secret. Its values must be generated; see `contentName`.
   * @param resource the resource's name in the stack
   * @returns the object's name
   */
  secret(
    resource: string,
    args: GenerationArgs & {
      /** The type of the Secret, for example kubernetes.io/tls. Default: Opaque. */
      type?: string;
      stringData: pulumi.Input<Record<string, pulumi.Input<string>>>;
      /** The content whose hash is in the name. Default: `stringData`. */
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

  /** Options that keep the object in the cluster when Pulumi removes the resource from the stack. */
  #kept(opts: pulumi.CustomResourceOptions): pulumi.CustomResourceOptions {
    return { ...opts, provider: this.#provider, retainOnDelete: true };
  }

  /**
   * Deletes unused generations during an `up`. If this fails, `up` prints a warning and continues. The program must call this
   * function after it has made all components.
   * @param labels the labels that every generation of the stack has
   */
  collect(access: ClusterAccess, namespace: pulumi.Input<string>, labels: Record<string, string>): void {
    if (pulumi.runtime.isDryRun()) return;
    pulumi.all([namespace, pulumi.all(this.#names)]).apply(async ([namespace, names]) => {
      try {
        const pick = (found: FoundGenerations) => collectable(found, new Set(names), new Date());
        const gone = await cluster.collect(access, namespace, labels, pick);
        if (gone.length > 0)
          await pulumi.log.info(`Deleted old ConfigMaps and Secrets that no object refers to: ${gone.join(", ")}.`);
      } catch (error) {
        await pulumi.log.warn(
          `Old ConfigMaps and Secrets that nothing uses could not be deleted: ${(error as Error).message}. The next \`pulumi up\` tries again.`,
        );
      }
    });
  }
}
