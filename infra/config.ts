/** The stack's config: one schema, its defaults, and the faults of a config that breaks it. */
import { z } from "zod";
import { internalRangeOf, isCidr } from "./kubernetes/cidr.ts";
import { isQuantity, quantityGuesses } from "./kubernetes/quantity.ts";

/** YAML reads `cpu: 20` as a number; Kubernetes takes it as the text "20". */
const quantity = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  z.string().check((check) => {
    if (isQuantity(check.value)) return;
    const guesses = quantityGuesses(check.value);
    const hint = guesses.length > 0 ? `; did you mean ${guesses.join(" or ")}?` : ", for example 500m or 40Gi";
    check.issues.push({ code: "custom", input: check.value, message: `is not a Kubernetes quantity${hint}` });
  }),
);

const count = z.int({ error: "is not a whole number" }).nonnegative({ error: "is below 0" });
const port = z.int({ error: "is not a whole number" }).min(1).max(65535, { error: "is above 65535" });

/** A name that Kubernetes takes for objects and labels. */
const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, {
  error: "is not a Kubernetes name: 1 to 63 of a-z, 0-9 and -, neither first nor last a -",
});

const url = z.url({ protocol: /^https?$/, error: "is not an http or https URL" });

const replicas = z.int({ error: "is not a whole number" }).min(1, { error: "is below 1" }).max(100);

const volume = (size: string) =>
  z.strictObject({
    /** Size of the volume. */
    size: quantity.default(size),
    /** StorageClass; null for the cluster's default one. Default null. */
    storageClass: name.nullable().default(null),
  });

const egressRule = z.strictObject({
  /** Addresses that sessions may reach. Private, link-local and metadata ranges inside it stay closed. */
  cidr: z.string().check((check) => {
    const reject = (message: string) => check.issues.push({ code: "custom", input: check.value, message });
    if (!isCidr(check.value)) return void reject("is not an address range, for example 203.0.113.0/24 or 0.0.0.0/0");
    const internal = internalRangeOf(check.value);
    if (internal) reject(`lies in ${internal}, which sessions never reach by address`);
  }),
  /** TCP ports. Default [443]. */
  ports: z.array(port).min(1, { error: "is empty; name at least one port" }).default([443]),
});

const quota = z.strictObject({
  /** Sum of all sessions' CPU requests and limits. Default 20 and 40. */
  requestsCpu: quantity.default("20"),
  limitsCpu: quantity.default("40"),
  /** Sum of all sessions' memory requests and limits. Default 40Gi and 80Gi. */
  requestsMemory: quantity.default("40Gi"),
  limitsMemory: quantity.default("80Gi"),
  /** Pods at one time; one per session. Default 50. */
  pods: count.default(50),
  /** Sum of all workspace volumes. Default 500Gi. */
  storage: quantity.default("500Gi"),
});

export const tenantSchema = z.strictObject({
  /** The tenant's name; its namespace is `tenant-<name>`. */
  name: z.string().regex(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/, {
    error: "is not a tenant name: 1 to 40 of a-z, 0-9 and -, first a letter, last not a -",
  }),
  quota: quota.prefault({}),
  /** Each session's workspace volume. Default 10Gi in the cluster's default StorageClass. */
  workspace: volume("10Gi").prefault({}),
  agentConfig: z
    .strictObject({
      /** Where the agents find their model; its address must be in `egress` too. Default none. */
      modelEndpoint: url.optional(),
    })
    .prefault({}),
  /** RuntimeClass of the session pods, for example gvisor. Default null: the cluster's own. */
  runtimeClassName: name.nullable().default(null),
  /** What sessions may reach beyond DNS. Default nothing. */
  egress: z.array(egressRule).default([]),
});

export const configSchema = z.strictObject({
  /** The kubeconfig context of the cluster that this stack belongs to. No other cluster is ever touched. */
  context: z.string().min(1, { error: "is empty; name a context of your kubeconfig" }),
  /** Where Berth's own images are pushed to and pulled from, without a scheme, for example ghcr.io/acme/berth. */
  registry: z.string().regex(/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/, {
    error: "is not a registry and path, for example ghcr.io/acme/berth",
  }),
  /** Put before the names of base images, for example 127.0.0.1:5000. Default "": the originals. */
  baseRegistry: z
    .string()
    .regex(/^([a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*)?$/, { error: "is not a registry and path, for example mirror:5000" })
    .default(""),
  /** The address at which users reach the API. */
  publicUrl: url,
  /** Take over objects of the same name that are in the cluster already. Default false: an existing object is a failure. */
  adoptExisting: z.boolean().default(false),
  /** Operating system and architecture of the cluster's nodes. Default linux/amd64. */
  platform: z
    .enum(["linux/amd64", "linux/arm64"], { error: "is neither linux/amd64 nor linux/arm64" })
    .default("linux/amd64"),
  /** Network of the image builds; host where the Docker daemon has no bridge. Default "default". */
  buildNetwork: z.enum(["default", "host"], { error: "is neither default nor host" }).default("default"),
  /** Log level of API and worker. Default info. */
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error"], { error: "is none of trace, debug, info, warn, error" })
    .default("info"),
  api: z
    .strictObject({
      /** Pods of the API. Default 1. */
      replicas: replicas.default(1),
      /** Makes the Service a NodePort on this port; for clusters without an ingress. Default none. */
      nodePort: z
        .int({ error: "is not a whole number" })
        .min(30000, { error: "is below 30000" })
        .max(32767, { error: "is above 32767" })
        .optional(),
    })
    .prefault({}),
  /** Pods of the worker. Default 1. */
  worker: z.strictObject({ replicas: replicas.default(1) }).prefault({}),
  /** Postgres's volume. Default 10Gi. */
  postgres: z.strictObject({ volume: volume("10Gi").prefault({}) }).prefault({}),
  /** Redis's volume. Default 2Gi. */
  redis: z.strictObject({ volume: volume("2Gi").prefault({}) }).prefault({}),
  /**
   * Addresses of the Kubernetes API as pods reach it, which the worker's network policy opens.
   * Default null: read from the EndpointSlice `kubernetes`. Name them where the network sees another address.
   */
  kubernetesApi: z
    .array(
      z.strictObject({
        cidr: z.string().refine(isCidr, { error: "is not an address range, for example 10.0.0.1/32" }),
        port,
      }),
    )
    .nullable()
    .default(null),
  tenants: z
    .array(tenantSchema)
    .check((check) => {
      const names = check.value.map((tenant) => tenant?.name);
      names.forEach((tenant, index) => {
        const first = names.indexOf(tenant);
        if (tenant !== undefined && first < index)
          check.issues.push({
            code: "custom",
            input: tenant,
            path: [index, "name"],
            message: `is the name of tenants[${first}] already`,
          });
      });
    })
    .default([]),
});

/** The stack's config with all defaults filled in. */
export type Config = z.output<typeof configSchema>;
export type TenantConfig = z.output<typeof tenantSchema>;
export type VolumeConfig = z.output<ReturnType<typeof volume>>;

/** A config or the list of its faults, one line each. */
export type ConfigResult = { config: Config; faults?: never } | { config?: never; faults: string[] };

/**
 * Checks a config against the schema.
 * @param values the keys without their namespace; text as Pulumi stores it, that is JSON for all that isn't a string
 */
export function parseConfig(values: Record<string, string>): ConfigResult {
  const raw = Object.fromEntries(Object.entries(values).map(([key, text]) => [key, fromText(key, text)]));
  const result = configSchema.safeParse(raw);
  return result.success
    ? { config: result.data }
    : { faults: result.error.issues.flatMap((issue) => fault(issue, raw)) };
}

/** The value that Pulumi has as text. Keys whose schema takes the text itself keep it, so that "123" can be a context. */
function fromText(key: string, text: string): unknown {
  const schema = Object.entries(configSchema.shape).find(([known]) => known === key)?.[1];
  if (schema?.safeParse(text).success) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `tenants[2].quota.limitsMemory: "40GB" is not …`: path, value, rule. */
function fault(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const parent = issue.path;
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `${pathText([...parent, key])}: is not a key that Berth knows; check its spelling`);
  const value = parent.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], raw);
  if (value === undefined) return [`${pathText(parent)}: is missing`];
  const rule =
    issue.code === "invalid_type" && issue.message.startsWith("Invalid input")
      ? `is not ${a(issue.expected)}`
      : issue.message;
  return [`${pathText(parent)}: ${JSON.stringify(value)} ${rule}`];
}

const a = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

const pathText = (path: PropertyKey[]) =>
  path.map((key, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`)).join("");
