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
