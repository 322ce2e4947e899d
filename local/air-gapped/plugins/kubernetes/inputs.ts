/** What `check` makes of a program's object: one spelling, and a name. */
import { createHash } from "node:crypto";
import { type Checked, InputError } from "../protocol/plugin.ts";
import { hasUnknown, isObject, markedLike, type Props, plain, secret, unknown } from "../protocol/values.ts";
import type { Kind } from "./kinds.ts";
import { annotated, metadataOf } from "./object.ts";

/** The annotations that mean something to Pulumi, of those that Berth's stacks have. */
const understood = ["skipAwait", "replaceUnready", "autonamed"].map((name) => `pulumi.com/${name}`);

/** The inputs as they are kept in the state. @throws InputError */
export function checked({ apiVersion, kind }: Kind, { name, olds, news, seed }: Checked): Props {
  const inputs = normal({ ...plain<Props>(news), apiVersion, kind });
  for (const name of Object.keys(metadataOf(inputs).annotations ?? {}))
    if (name.startsWith("pulumi.com/") && !understood.includes(name))
      throw new InputError(`the stand-in for the plugin kubernetes has no ${name}: use the official plugin.`);
  if (inputs.metadata !== unknown) inputs.metadata = named(metadataOf(inputs), plain<Props>(olds), name, seed);
  return withSecrets(inputs, news);
}

/** A Secret's texts become data, as the API server makes them. */
export function normal(object: Props): Props {
  const { stringData, ...rest } = object;
  if (rest.kind !== "Secret" || !isObject(stringData) || hasUnknown(stringData) || hasUnknown(rest.data)) return object;
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString("base64")]);
  return { ...rest, data: { ...(isObject(rest.data) ? rest.data : {}), ...Object.fromEntries(encoded) } };
}

/** A name of Pulumi's where the program gives none, the old one while there is one. */
function named(metadata: Props, old: Props, name: string, seed: Uint8Array): Props {
  if (metadata.generateName !== undefined)
    throw new InputError(
      "metadata.generateName isn't supported with server-side apply: name the object, or let Pulumi.",
    );
  if (metadata.name !== undefined) return metadata;
  const kept = annotated(old, "autonamed") ? metadataOf(old).name : undefined;
  const suffix = createHash("sha256").update(seed).digest("hex").slice(0, 8);
  const annotations = { ...(isObject(metadata.annotations) && metadata.annotations), "pulumi.com/autonamed": "true" };
  return { ...metadata, name: kept ?? `${name}-${suffix}`, annotations };
}

/** A copy in which secret is what is secret in `like`, and whatever a Secret holds. */
export function withSecrets<T extends Props>(object: T, like: Props): T {
  const marked = markedLike(object, like) as T;
  if (object.kind !== "Secret") return marked;
  const contents = ["data", "stringData"]
    .filter((key) => key in marked)
    .map((key) => [key, secret(plain(marked[key]))]);
  return { ...marked, ...Object.fromEntries(contents) };
}
