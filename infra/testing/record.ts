/** Runs the program of a stack against mocks and records what it would make: no cluster, no Docker, no network. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

/** One resource. Generated values stand as `<type name>`. */
export interface RecordedResource {
  type: string;
  name: string;
  /** Pulumi refuses to delete it. */
  protect?: true;
  /** Pulumi leaves it in the cluster when it is through with it. */
  retain?: true;
  inputs: unknown;
  /** It is only read, and belongs to someone else. */
  read?: true;
}

const infra = fileURLToPath(new URL("../", import.meta.url));
const makers = new WeakMap<RecordedResource, string[]>();
const timeouts = new WeakMap<RecordedResource, pulumi.CustomTimeouts>();
const identities = new WeakMap<RecordedResource, Identity>();

/** The files of infra/ that were running when the resource was made, the innermost first, relative to infra/. */
export const filesThatMade = (resource: RecordedResource): string[] => makers.get(resource) ?? [];

/** How long Pulumi waits for the resource; undefined: as long as the provider says. */
export const timeoutsOf = (resource: RecordedResource): pulumi.CustomTimeouts | undefined => timeouts.get(resource);

/** By what the engine knows a resource. */
export interface Identity {
  urn: string;
  /** The URNs under which it may be in a state that an older version has written: its aliases, and those by its parent's. */
  formerUrns: string[];
}

/** By what the engine knows the resource. */
export const identityOf = (resource: RecordedResource): Identity => {
  const identity = identities.get(resource);
  if (identity === undefined) throw new Error(`${key(resource)} was not recorded`);
  return identity;
};

const file = (name: string) => parse(readFileSync(new URL(`../../${name}`, import.meta.url), "utf8"));

/** The stack's config as the engine would give it: project defaults and stack values as text. */
function configOf(stack: string, changes: Record<string, unknown>): Record<string, string> {
  const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  const declared = Object.entries<{ default?: unknown }>(file("Pulumi.yaml").config).filter(
    ([, key]) => "default" in key,
  );
  return Object.fromEntries([
    ...declared.map(([key, value]) => [`berth:${key}`, asText(value.default)]),
    ...Object.entries(file(`Pulumi.${stack}.yaml`).config).map(([key, value]) => [key, asText(value)]),
    ...Object.entries(changes).map(([key, value]) => [`berth:${key}`, asText(value)]),
  ]);
}

/** A digest that depends on the text only. */
export const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** What the cluster, Docker and the registry would add to a resource's inputs. */
function outputs({ type, name, inputs }: pulumi.runtime.MockResourceArgs): Record<string, unknown> {
  switch (type) {
    case "random:index/randomPassword:RandomPassword":
      return { ...inputs, result: `<password ${name}>` };
    case "random:index/randomBytes:RandomBytes":
      return { ...inputs, base64: createHash("sha256").update(name).digest("base64") };
    case "kubernetes:core/v1:Secret":
      return { ...inputs, metadata: { ...inputs.metadata, creationTimestamp: "2026-01-01T00:00:00Z" } };
    case "docker:index/image:Image":
      return { ...inputs, repoDigest: `${inputs.imageName.replace(/:[^:/]*$/, "")}@${digestOf(name)}` };
    case "kubernetes:discovery.k8s.io/v1:EndpointSlice":
      return { endpoints: [{ addresses: ["10.200.0.1"] }], ports: [{ name: "https", port: 6443 }] };
    case "pulumi:pulumi:StackReference":
      return { ...inputs, outputs: {}, secretOutputNames: [] };
    default:
      return inputs;
  }
}

/** A Kubernetes object without a name gets one of the provider: its name in the stack and eight hexadecimal digits. */
function named(args: pulumi.runtime.MockResourceArgs): pulumi.runtime.MockResourceArgs {
  const { type, name, inputs, id } = args;
  const lacksName = /^kubernetes:.*\/v/.test(type) && !id && inputs.metadata?.name === undefined;
  if (!lacksName) return args;
  return { ...args, inputs: { ...inputs, metadata: { ...inputs.metadata, name: `${name}-00000000` } } };
}

/**
 * All resources of the stack, sorted by type and name. The program runs on import: for one stack per process.
 * @param changes keys of the stack's config with other values, without their namespace
 * @param baseDigest which digest the registry has for an image's name
 */
export async function recordStack(
  stack: string,
  changes: Record<string, unknown> = {},
  baseDigest: (name: string) => string = digestOf,
): Promise<RecordedResource[]> {
  const recorded: RecordedResource[] = [];
  const protectedOnes = new Set<string>();
  const retainedOnes = new Set<string>();
  const made = new Map<string, string[]>();
  const limited = new Map<string, pulumi.CustomTimeouts>();
  const registered = new Map<string, pulumi.ResourceTransformationArgs>();
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
  pulumi.runtime.setAllConfig(configOf(stack, changes));
  // Of the same load as the program: there is no cluster to ask, and what is made does not change with the day.
  const { cluster } = await import("../kubernetes/cluster.ts");
  cluster.look = async () => undefined;
  cluster.collect = async () => [];
  const { clock } = await import("../kubernetes/clock.ts");
  clock.now = () => new Date("2026-01-01T00:00:00Z");
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

/** Once the resource is constructed. */
export async function identify({ resource, type, name, opts }: pulumi.ResourceTransformationArgs): Promise<Identity> {
  const { __parentResource: parent } = resource as { __parentResource?: pulumi.Resource & { __name: string } };
  const former = parent ? pulumi.allAliases(opts.aliases ?? [], name, type, parent, parent.__name) : [];
  // The engine leaves the stack out of a URN, and the mocks do not.
  const asEngine = (urn: string) => urn.replace("::pulumi:pulumi:Stack$", "::");
  return new Promise((resolve) => {
    pulumi
      .all([resource.urn, pulumi.all(former)])
      .apply(([urn, others]) => resolve({ urn: asEngine(urn), formerUrns: others.map(asEngine) }));
  });
}

/** The files of infra/ in the stack of calls. */
function runningFiles(): string[] {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  const paths = [...stack.matchAll(/((?:file:\/\/)?\/[^\s():]+\.ts):\d+/g)].map(([, path = ""]) =>
    path.replace("file://", ""),
  );
  const files = paths.filter((path) => path.startsWith(infra)).map((path) => path.slice(infra.length));
  return [...new Set(files)].filter((file) => !file.startsWith("testing/"));
}

/** Keys in one order, whatever the order of the program; without keys that open something. */
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
