/**
 * Runs the program of a stack with mocks and records the resources that the program would make. The run needs no cluster, Docker
 * or network.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { formerName } from "../kubernetes/former-names.ts";

/** A recorded resource. Made-up values replace generated ones: for a password, for example, `<password NAME>`. */
export interface RecordedResource {
  type: string;
  name: string;
  /** Pulumi refuses to delete the resource. */
  protect?: true;
  /** Pulumi leaves the object in the cluster when the resource is removed from the stack. */
  retain?: true;
  inputs: unknown;
  /** The program only reads the object. */
  read?: true;
}

const infra = fileURLToPath(new URL("../", import.meta.url));
const makers = new WeakMap<RecordedResource, string[]>();
const timeouts = new WeakMap<RecordedResource, pulumi.CustomTimeouts>();
const identities = new WeakMap<RecordedResource, Identity>();

/** The files of infra/ on the call stack when the resource was made, relative to infra/, the innermost first. */
export const filesThatMade = (resource: RecordedResource): string[] => makers.get(resource) ?? [];

/** How long Pulumi waits for the resource. Undefined: the provider's default applies. */
export const timeoutsOf = (resource: RecordedResource): pulumi.CustomTimeouts | undefined => timeouts.get(resource);

/** The URNs by which Pulumi's engine identifies a resource. */
export interface Identity {
  urn: string;
  /** The URNs that the resource may have in the state of an older version: from its own aliases and its parent's aliases. */
  formerUrns: string[];
  /** The name of the component that made the resource; undefined for resources that index.ts makes. */
  component?: string;
}

/** The URNs by which Pulumi's engine identifies the resource. */
export const identityOf = (resource: RecordedResource): Identity => {
  const identity = identities.get(resource);
  if (identity === undefined) throw new Error(`${key(resource)} was not recorded`);
  return identity;
};

const file = (name: string) => parse(readFileSync(new URL(`../../${name}`, import.meta.url), "utf8"));

/**
 * The config as Pulumi's engine passes it: each value is a text. `changes` has precedence over the stack's file, and the stack's
 * file has precedence over the project's defaults.
 * @param stackFile the path of the stack's file, relative to the checkout
 */
function configOf(stackFile: string, changes: Record<string, unknown>): Record<string, string> {
  const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  const declared = Object.entries<{ default?: unknown }>(file("Pulumi.yaml").config).filter(
    ([, key]) => "default" in key,
  );
  return Object.fromEntries([
    ...declared.map(([key, value]) => [`berth:${key}`, asText(value.default)]),
    ...Object.entries(file(stackFile).config).map(([key, value]) => [key, asText(value)]),
    ...Object.entries(changes).map(([key, value]) => [`berth:${key}`, asText(value)]),
  ]);
}

/** A digest that depends only on the text. */
export const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/**
 * The outputs that the cluster, Docker and the registry would add to a resource's inputs. The mock makes a renamed resource's
 * values from its former name, so the values stay the same.
 */
function outputs({ type, name: now, inputs }: pulumi.runtime.MockResourceArgs): Record<string, unknown> {
  const name = formerName(type, now) ?? now;
  switch (type) {
    case "random:index/randomPassword:RandomPassword":
      return { ...inputs, result: `<password ${name}>` };
    case "random:index/randomBytes:RandomBytes":
      return { ...inputs, base64: createHash("sha256").update(name).digest("base64") };
    case "random:index/randomId:RandomId":
      return { ...inputs, hex: digestOf(`${name} ${inputs.keepers.content}`).slice(-2 * inputs.byteLength) };
    case "kubernetes:core/v1:Secret":
      return { ...inputs, metadata: { ...inputs.metadata, creationTimestamp: "2026-01-01T00:00:00Z" } };
    case "docker:index/image:Image":
      return { ...inputs, repoDigest: `${inputs.imageName.replace(/:[^:/]*$/, "")}@${digestOf(name)}` };
    case "pulumi:pulumi:StackReference":
      return {
        ...inputs,
        outputs: { kubeconfig: `<kubeconfig of ${inputs.name}>` },
        secretOutputNames: ["kubeconfig"],
      };
    default:
      return inputs;
  }
}

/** Adds a name to a Kubernetes object that has none, as the provider does: the resource's name and eight hexadecimal digits. */
function named(args: pulumi.runtime.MockResourceArgs): pulumi.runtime.MockResourceArgs {
  const { type, name, inputs, id } = args;
  const lacksName = /^kubernetes:.*\/v/.test(type) && !id && inputs.metadata?.name === undefined;
  if (!lacksName) return args;
  return { ...args, inputs: { ...inputs, metadata: { ...inputs.metadata, name: `${name}-00000000` } } };
}

/**
 * Records all resources of the stack, sorted by type and name. The program runs when it is imported, so one process can record
 * only one stack, unless it resets its modules.
 * @param changes values that replace those of the stack's config; the keys have no `berth:` in front
 * @param baseDigest returns the registry's digest for an image's name
 * @param stackFile the path of the file with the stack's config, relative to the checkout
 */
export async function recordStack(
  stack: string,
  changes: Record<string, unknown> = {},
  baseDigest: (name: string) => string = digestOf,
  stackFile = `Pulumi.${stack}.yaml`,
): Promise<RecordedResource[]> {
  const recorded: RecordedResource[] = [];
  const protectedOnes = new Set<string>();
  const retainedOnes = new Set<string>();
  const made = new Map<string, string[]>();
  const limited = new Map<string, pulumi.CustomTimeouts>();
  const registered = new Map<string, pulumi.ResourceTransformationArgs>();
  // Pulumi's SDK formats a stack trace for each call, which took half of a run.
  using _limit = withStackTraceLimit(0);
  await pulumi.runtime.setMocks(
    {
      newResource: (given) => {
        const args = named(given);
        const { type, name } = args;
        const isProtected = protectedOnes.has(key({ type, name })) && ({ protect: true } as const);
        const isRetained = retainedOnes.has(key({ type, name })) && ({ retain: true } as const);
        const isRead = args.id !== undefined && args.id !== "" && ({ read: true } as const);
        if (args.custom) {
          const resource = { type, name, ...isProtected, ...isRetained, ...isRead, inputs: sorted(args.inputs) };
          makers.set(resource, made.get(key(resource)) ?? []);
          const limit = limited.get(key(resource));
          if (limit) timeouts.set(resource, limit);
          recorded.push(resource);
        }
        return { id: args.id ?? args.name, state: outputs(args) };
      },
      call: ({ inputs }) => ({ ...inputs, sha256Digest: baseDigest(inputs.name) }),
    },
    "berth",
    stack,
    false,
    "organization",
  );
  const config = configOf(stackFile, changes);
  pulumi.runtime.setAllConfig(config);
  // The next lines replace the calls to the cluster, the clock and the digests of sources, so that the result is the same
  // every day and in every commit. The imports are dynamic, so that after a reset they return the same modules as the
  // program's imports.
  const { cluster } = await import("../kubernetes/cluster.ts");
  cluster.identify = async () => config["berth:clusterId"] ?? "";
  cluster.readCluster = async () => undefined;
  cluster.collect = async () => [];
  const { clock } = await import("../kubernetes/clock.ts");
  clock.now = () => new Date("2026-01-01T00:00:00Z");
  const { checkout } = await import("../images/tag.ts");
  checkout.digest = (image) => digestOf(`the sources of ${image}`);
  await pulumi.runtime.runInPulumiStack(() => {
    pulumi.runtime.registerStackTransformation((args) => {
      const { type, name, opts } = args;
      registered.set(key({ type, name }), args);
      if (opts.protect) protectedOnes.add(key({ type, name }));
      if (opts.retainOnDelete) retainedOnes.add(key({ type, name }));
      if (opts.customTimeouts) limited.set(key({ type, name }), opts.customTimeouts);
      made.set(key({ type, name }), runningFiles());
      return undefined;
    });
    return import("../index.ts");
  });
  await pulumi.runtime.disconnect(); // after the last resource is registered
  for (const resource of recorded) {
    const args = registered.get(key(resource));
    if (args) identities.set(resource, await identify(args));
  }
  return recorded.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

const key = ({ type, name }: Pick<RecordedResource, "type" | "name">) => `${type} ${name}`;

/** What Pulumi's SDK stores in a resource. `__aliases` also has the aliases that transformations add. */
type Constructed = pulumi.Resource & {
  __name: string;
  __aliases: pulumi.Input<string>[];
  __parentResource?: Constructed;
};

/** The URNs of a resource. Call this after the resource's constructor has ended. */
export async function identify({
  resource,
  type,
  name,
}: Omit<pulumi.ResourceTransformationArgs, "props" | "opts">): Promise<Identity> {
  const { __parentResource: parent, __aliases: aliases } = resource as Constructed;
  const former = parent ? pulumi.allAliases(aliases, name, type, parent, parent.__name) : [];
  // The mocks' URNs contain the type of the stack, but the engine's URNs do not.
  const asEngine = (urn: string) => urn.replace("::pulumi:pulumi:Stack$", "::");
  // Only the stack has no parent.
  const component = parent?.__parentResource && parent.__name;
  return new Promise((resolve) => {
    pulumi.all([resource.urn, pulumi.all(former)]).apply(([urn, others]) =>
      resolve({
        urn: asEngine(urn),
        formerUrns: others.map(asEngine),
        ...(component && { component }),
      }),
    );
  });
}

/** Until the result is disposed of, the stack traces of errors have at most this many lines. */
function withStackTraceLimit(limit: number): Disposable {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = limit;
  return {
    [Symbol.dispose]: () => {
      Error.stackTraceLimit = stackTraceLimit;
    },
  };
}

/** The files of infra/ on the call stack. */
function runningFiles(): string[] {
  using _limit = withStackTraceLimit(100);
  const { stack = "" } = new Error();
  const paths = [...stack.matchAll(/((?:file:\/\/)?\/[^\s():]+\.ts):\d+/g)].map(([, path = ""]) =>
    path.replace("file://", ""),
  );
  const files = paths.filter((path) => path.startsWith(infra)).map((path) => path.slice(infra.length));
  return [...new Set(files)].filter((file) => !file.startsWith("testing/"));
}

/** A copy of the value in which the keys of objects are sorted, and a text replaces each private key in PEM form. */
function sorted(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith("-----BEGIN PRIVATE KEY-----")) return "<private key>";
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
