/** The text of a `Pulumi.<stack>.yaml` for a cluster, with a comment for each choice. Everything here is pure. */
import { stringify } from "yaml";
import { isTooOld, oldestKubernetes } from "../../infra/kubernetes/version.ts";
import { accessKeys, platformKeys, tenantKeys } from "./choices.ts";
import { addressKeys, metricsKeys, networkKeys } from "./choices-network.ts";
import { distributionOf, policyEngineOf, type Seen } from "./seen.ts";

/** What the user asks `npm run init` for. */
export interface Wanted {
  /** The stack's name. */
  stack: string;
  /** The kubeconfig context. */
  context: string;
  /** The registry and path for Berth's images. Default: the registry that the ConfigMap local-registry-hosting names, if any. */
  registry?: string | undefined;
  /** The address at which users will reach the API. Default: a forwarded port on the user's machine. */
  url?: string | undefined;
}

/** Keys of the stack's config, without the prefix `berth:`, under a comment that says why they have these values. */
export interface Choice {
  /** Sentences. Each one begins on a new line. */
  why: string[];
  keys?: Record<string, unknown>;
  /** Whether the keys are only an example, written as a comment. */
  example?: boolean;
}

/** All choices for the cluster, in the order of the file. */
export const choicesFor = (seen: Seen, wanted: Wanted): Choice[] => [
  ...accessKeys(seen, wanted),
  ...platformKeys(seen),
  ...addressKeys(seen, wanted),
  ...networkKeys(seen),
  ...metricsKeys(seen, wanted),
  ...tenantKeys(seen),
];

/** The file's text. It is a config that `pulumi up` accepts as soon as the user has done what the comments `To do` say. */
export function stackFile(seen: Seen, wanted: Wanted): string {
  const header = [
    `The stack ${wanted.stack}, made by \`npm run init\` from what the cluster has. docs/your-cluster.md has the next steps, and docs/config.md every key.`,
    `Seen: ${seenLine(seen)}.`,
    ...seen.unread.map((what) => `Could not be read: ${what}. The values below assume that the cluster has none.`),
    ...warnings(seen).map((warning) => `Attention: ${warning}`),
  ];
  return [
    ...header.flatMap((sentence) => commented(sentence, "")),
    "config:",
    ...commented("Pulumi deploys only to the cluster below, because the default providers are off."),
    "  pulumi:disable-default-providers: [kubernetes, docker]",
    ...choicesFor(seen, wanted).flatMap(lines),
    "",
  ].join("\n");
}

const seenLine = (seen: Seen): string => {
  const nodes = `${seen.nodes.length} ${seen.nodes.length === 1 ? "node" : "nodes"}`;
  return [distributionOf(seen) ?? "a cluster", `Kubernetes ${seen.version}`, nodes, policyEngineOf(seen).name].join(
    ", ",
  );
};

/** What will not work on this cluster, whatever the stack's config file says: one sentence for each fault of the cluster. */
export function warnings(seen: Seen): string[] {
  const { name, enforces, remedy } = policyEngineOf(seen);
  return [
    ...(isTooOld(seen.version)
      ? [`Berth needs Kubernetes ${oldestKubernetes} or newer, and the cluster has ${seen.version}.`]
      : []),
    ...(enforces === "no"
      ? [`${name} doesn't enforce network policies, so nothing would isolate the sessions: ${remedy}.`]
      : []),
    ...(seen.storageClasses.length === 0
      ? ["The cluster has no StorageClass, so no volume can be made: install a CSI driver and a StorageClass."]
      : []),
  ];
}

/** The lines of a choice: its comment, and its keys. */
function lines({ why, keys = {}, example = false }: Choice): string[] {
  const text = stringify(Object.fromEntries(Object.entries(keys).map(([key, value]) => [`berth:${key}`, value])), {
    aliasDuplicateObjects: false,
    lineWidth: 0,
  });
  const written = Object.keys(keys).length === 0 ? [] : text.trimEnd().split("\n");
  return [
    "",
    ...why.flatMap((sentence) => commented(sentence)),
    ...written.map((line) => `  ${example ? "# " : ""}${line}`),
  ];
}

/** The sentence as comment lines of at most 116 characters. A command stays one line, so that users can copy it. */
function commented(sentence: string, indent = "  "): string[] {
  if (sentence.startsWith("kubectl ")) return [`${indent}#   ${sentence}`];
  const result: string[] = [];
  let line = `${indent}#`;
  for (const word of sentence.split(" ")) {
    if (line.length + word.length + 1 > 116) {
      result.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...result, line];
}

/** A stack's name from a context's name: the last part of an ARN or path, with the characters that Pulumi allows. */
export function stackName(context: string): string {
  const last = context.split(/[/:]/).at(-1) ?? "";
  return last.replaceAll(/[^A-Za-z0-9_.-]+/g, "-").replaceAll(/^-+|-+$/g, "") || "cluster";
}
