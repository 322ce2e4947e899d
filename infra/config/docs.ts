/**
 * Makes the table in docs/config.md from the schema. `npm run config:docs` writes the file, and a test fails if the file is
 * stale.
 */
import { z } from "zod";
import { configSchema } from "./config.ts";

type Node = z.core.JSONSchema.JSONSchema;

/** The ten keys that a new stack needs first, in this order. Each of these keys is also in its section. */
const first = [
  "context",
  "clusterId",
  "registry",
  "publicUrl",
  "kubernetesApi",
  "ingress",
  "storageClass",
  "network",
  "tenants",
  "tenants[].images",
];

/** The page's sections in order, each with its top-level keys. The keys below a top-level key are in the same section. */
const sections: Record<string, string> = {
  "The cluster":
    "context kubeconfig clusterId storageClass network kubernetesApi platform placement priorityClasses requestScale namespace tenantPrefix adoptExisting rolloutTimeout migrationTimeout",
  Images: "registry registryLogins registryPush images imagePullSecrets prepullAgentImage baseRegistry buildNetwork",
  "How users reach Berth": "publicUrl ingress sandboxUrl trustedProxies adminKeys oidc",
  Tenants: "tenants",
  "API, gateway and worker":
    "api gateway worker limits autoscaler keda egress trustedCertificates webhooksToPrivateAddresses tokenKeySecret tokenKeys logLevel tracing",
  "Postgres and Redis": "protectData postgres redis",
  Monitoring: "prometheus adapter grafana",
};

/**
 * The page: first the ten keys that a new stack needs, then all keys by section, each with default and description.
 * @throws Error if a key is in no entry of `sections` or in two
 */
export function configDocs(): string {
  const schema = z.toJSONSchema(configSchema, { io: "output", unrepresentable: "any" });
  const all = rows("", schema);
  const table = (some: Row[]) => [
    "",
    "| key | default | what |",
    "|---|---|---|",
    ...some.map(({ key, value, text }) => `| \`${key}\` | ${value} | ${text} |`),
  ];
  const placed = Object.values(sections).flatMap((keys) => keys.split(" "));
  for (const key of Object.keys(schema.properties ?? {}))
    if (placed.filter((one) => one === key).length !== 1)
      throw new Error(`${key}: must be in exactly one entry of the constant sections in infra/config/docs.ts`);
  return [
    heading,
    ...table(first.flatMap((key) => all.filter((row) => row.key === key))),
    ...Object.entries(sections).flatMap(([title, keys]) => [
      "",
      `## ${title}`,
      ...table(keys.split(" ").flatMap((key) => all.filter((row) => /^\w+/.exec(row.key)?.[0] === key))),
    ]),
    "",
  ].join("\n");
}

const heading = `# Which keys can I set in a stack's config?

You can set all keys of the tables below. In \`Pulumi.<stack>.yaml\`, each key has the prefix \`berth:\`. With an
invalid config, \`pulumi up\` fails before it changes anything, and prints one line for each fault: the key's path, the key's
value (unless the value may be secret) and the rule that the value breaks.
Set secret values with \`pulumi config set --secret --path\`. In the column \`default\`, \`none\` means that the key has no
value unless you set it. \`npm run config:docs\` makes this page from the schema in infra/config/config.ts.

## The ten keys that matter first`;

interface Row {
  key: string;
  value: string;
  text: string;
}

/** One row for each key. A group of keys is one row, and the rows of its keys follow. */
function rows(prefix: string, node: Node): Row[] {
  const required = new Set(node.required);
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    if (typeof child === "boolean") return [];
    const key = prefix + name;
    const inner = object(child);
    const below = inner ? rows(inner.list ? `${key}[].` : `${key}.`, inner.node) : [];
    if (child.description === undefined) throw new Error(`${key}: has no description; add .describe() to its schema`);
    const isGroup = inner !== undefined && !inner.list && child.default !== null && typeof child.default !== "string";
    return [
      { key, value: isGroup ? "" : defaultOf(child, required.has(name)), text: escaped(child.description) },
      ...below,
    ];
  });
}

/**
 * The object schema of a key: the key's own schema, the schema of its list items, or the schema without null. If the schema
 * allows several objects, the result has the keys of all, and requires those that all require.
 */
function object(node: Node): { node: Node; list: boolean } | undefined {
  if (node.properties) return { node, list: false };
  if (node.items && typeof node.items === "object" && !Array.isArray(node.items)) {
    const inner = object(node.items);
    return inner && { node: inner.node, list: true };
  }
  const [first, ...others] = [...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((one) =>
    typeof one === "object" ? (object(one) ?? []) : [],
  );
  if (first === undefined || others.length === 0) return first;
  const all = [first, ...others].map((one) => one.node);
  const properties: NonNullable<Node["properties"]> = {};
  for (const [key, child] of all.flatMap((one) => Object.entries(one.properties ?? {}))) properties[key] ??= child;
  const required = Object.keys(properties).filter((key) => all.every((one) => one.required?.includes(key)));
  return { node: { properties, required }, list: first.list };
}

function defaultOf(node: Node, required: boolean): string {
  if (node.default === undefined) return required ? "required" : "none";
  return escaped(
    `\`${typeof node.default === "string" && node.default ? node.default : JSON.stringify(node.default)}\``,
  );
}

const escaped = (text: string) => text.replaceAll("|", "\\|");
