/** Computes and compares the versions of stand-ins. */
import { createHash } from "node:crypto";

/** The image label that marks a stand-in. The label's value is the version of the stand-in. */
export const standInLabel = "dev.berth.stand-in";

/**
 * The version of a stand-in: a short hash of the recipe's files (path → content), of the ingredients' versions, and of the parent
 * image's version.
 */
export function recipeHash(files: Record<string, string>, ingredients: string[], parent: string): string {
  const paths = Object.keys(files).sort();
  const parts = [parent, ...ingredients, ...paths.flatMap((path) => [path, files[path]])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/**
 * Whether a base image in the local registry is up to date. `found` is the image's label (null: no label, undefined: no image).
 */
export function isCurrent(found: string | null | undefined, wanted: string): boolean {
  return found === null || found === wanted; // an image without the label is the original, which a stand-in never replaces
}
