/** Makes the inputs that `check` returns: brings an object of the Pulumi program into a normal form, and gives it a name. */
import { createHash } from "node:crypto";
import { type Checked, InputError } from "../protocol/plugin.ts";
import { hasUnknown, isObject, type Props, plain, secret, unknown, withSecretsLike } from "../protocol/values.ts";
import type { Kind } from "./kinds.ts";
import { annotated, metadataOf } from "./object.ts";

/** Annotations of the official plugin that the stand-in supports too. `named` sets `autonamed`; stacks set the others. */
const understood = ["skipAwait", "replaceUnready", "autonamed"].map((name) => `pulumi.com/${name}`);

/** Returns the inputs in the form in which Pulumi stores them in the state. @throws InputError */
export function checked({ apiVersion, kind }: Kind, { name, olds, news, seed }: Checked): Props {
  const inputs = normal({ ...plain<Props>(news), apiVersion, kind });
  for (const name of Object.keys(metadataOf(inputs).annotations ?? {}))
    if (name.startsWith("pulumi.com/") && !understood.includes(name))
      throw new InputError(
        `the stand-in for the plugin kubernetes does not support the annotation ${name}: use the official plugin.`,
      );
  if (inputs.metadata !== unknown) inputs.metadata = named(metadataOf(inputs), plain<Props>(olds), name, seed);
  return withSecrets(inputs, news);
}

/** Converts a Secret's `stringData` to `data`, as the API server does. */
export function normal(object: Props): Props {
  const { stringData, ...rest } = object;
  if (rest.kind !== "Secret" || !isObject(stringData) || hasUnknown(stringData) || hasUnknown(rest.data)) return object;
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString("base64")]);
  return { ...rest, data: { ...(isObject(rest.data) ? rest.data : {}), ...Object.fromEntries(encoded) } };
}

/** Adds a generated name if the program gives none. An object with a generated name keeps this name. */
function named(metadata: Props, old: Props, name: string, seed: Uint8Array): Props {
  if (metadata.generateName !== undefined)
    throw new InputError(
      "metadata.generateName isn't supported with server-side apply: set metadata.name, or set no name, and Pulumi generates one.",
    );
  if (metadata.name !== undefined) return metadata;
  const kept = annotated(old, "autonamed") ? metadataOf(old).name : undefined;
  const suffix = createHash("sha256").update(seed).digest("hex").slice(0, 8);
  const annotations = { ...(isObject(metadata.annotations) && metadata.annotations), "pulumi.com/autonamed": "true" };
  return { ...metadata, name: kept ?? `${name}-${suffix}`, annotations };
}

/** Returns a copy of `object`. In the copy, values are secret that are secret in `like`, and so are the contents of a Secret. */
export function withSecrets<T extends Props>(object: T, like: Props): T {
  const withSecrets = withSecretsLike(object, like) as T;
  if (object.kind !== "Secret") return withSecrets;
  const contents = ["data", "stringData"]
    .filter((key) => key in withSecrets)
    .map((key) => [key, secret(plain(withSecrets[key]))]);
  return { ...withSecrets, ...Object.fromEntries(contents) };
}
