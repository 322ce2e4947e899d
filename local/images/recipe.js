/** What tells one version of a stand-in from another. */
import { createHash } from "node:crypto";
/** Image label that marks a stand-in; its value is the hash of the recipe that made it. */
export const standInLabel = "dev.berth.stand-in";
/**
 * The version of a stand-in: a short hash over its recipe's files (path → content), what goes in beside them, and the
 * version of the image it is built from.
 */
export function recipeHash(files, ingredients, parent) {
    const paths = Object.keys(files).sort();
    const parts = [parent, ...ingredients, ...paths.flatMap((path) => [path, files[path]])];
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
/** What to do about a base image, given the label found in the local registry (null: no label, undefined: no image). */
export function isCurrent(found, wanted) {
    return found === null || found === wanted; // without the label it is the original, which a stand-in never replaces
}
