/**
 * Names that contain a hash of the content: `api-config-3f9a1c02d4`. This file must not import Pulumi's SDK, which takes a
 * second to load, because a plugin of Pulumi imports this file.
 */
import { createHash } from "node:crypto";

/** The name with a hash of the content, which is a value that JSON can hold. */
export function nameWithContent(name: string, content: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return `${name}-${hash.slice(0, 10)}`;
}

/** The part of a name in front of the hash: `api-config`. Undefined if the name contains no hash. */
export const nameWithoutContent = (name: string): string | undefined => /^(.+)-[0-9a-f]{10}$/.exec(name)?.[1];
