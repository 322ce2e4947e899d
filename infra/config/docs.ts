/** The table in docs/config.md, made from the schema. `npm run config:docs` writes it; a test keeps it true. */
import { z } from "zod";
import { configSchema } from "./config.ts";

type Node = z.core.JSONSchema.JSONSchema;

/** All keys with their defaults and descriptions, as Markdown. */
export function configDocs(): string {
  const schema = z.toJSONSchema(configSchema, { io: "output", unrepresentable: "any" });
  const lines = rows("", schema).map(({ key, value, text }) => `| \`${key}\` | ${value} | ${text} |`);
  return [heading, ...lines, ""].join("\n");
}

const heading = `# Config

Made from the schema in infra/config/config.ts by \`npm run config:docs\`. Keys are under \`berth:\` in \`Pulumi.<stack>.yaml\`; a
wrong config fails before anything is touched, with one line per fault that names the path, the value and the rule.
Secret values are set with \`pulumi config set --secret --path\`.

| key | default | what |
|---|---|---|`;

interface Row {
  key: string;
  value: string;
  text: string;
}

/** A row for each key; groups are a row and their keys below. */
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

/** The object in a key's schema: itself, the items of a list, or the one that may be null. */
function object(node: Node): { node: Node; list: boolean } | undefined {
  if (node.properties) return { node, list: false };
  if (node.items && typeof node.items === "object" && !Array.isArray(node.items)) {
    const inner = object(node.items);
    return inner && { node: inner.node, list: true };
  }
  for (const one of node.anyOf ?? []) {
    const inner = typeof one === "object" ? object(one) : undefined;
    if (inner) return inner;
  }
  return undefined;
}

function defaultOf(node: Node, required: boolean): string {
  if (node.default === undefined) return required ? "required" : "none";
  return escaped(
    `\`${typeof node.default === "string" && node.default ? node.default : JSON.stringify(node.default)}\``,
  );
}

const escaped = (text: string) => text.replaceAll("|", "\\|");
