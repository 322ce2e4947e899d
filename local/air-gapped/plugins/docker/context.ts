/** What an image is built from: the files, and a digest of them, the same as the official plugin's. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, type Stats } from "node:fs";
import { join, posix, relative } from "node:path";
import dockerignore from "@balena/dockerignore";

/**
 * A digest of all that is built; a new one, and the image is built anew.
 * @param context the build's folder
 * @param dockerfile beside which <dockerfile>.dockerignore goes before the context's
 */
export function contextDigest(context: string, dockerfile: string): string {
  const hash = createHash("sha256");
  const add = (name: string, mode: string, content: Buffer | string) => {
    hash.update(posix.normalize(name)).update(mode).update(createHash("sha256").update(content).digest()).update("\0");
  };
  // The Dockerfile counts once by this name wherever it is, without a mode.
  add("Dockerfile", "----------", readFileSync(dockerfile));
  for (const name of builtFiles(context, dockerfile)) {
    const path = join(context, name);
    const stats = lstatSync(path);
    if (stats.isSymbolicLink())
      add(name, modeText(stats), join(context, relative(realpathSync(context), realpathSync(path))));
    else add(name, modeText(stats), stats.isFile() ? readFileSync(path) : "");
  }
  return hash.digest("hex");
}

/** The files that the ignore file leaves, folder by folder in the order of their bytes. */
export function builtFiles(context: string, dockerfile: string): string[] {
  const file = [`${dockerfile}.dockerignore`, join(context, ".dockerignore")].find(existsSync);
  const ignore = dockerignore.default({ ignorecase: false }).add(file ? readFileSync(file, "utf8") : "");
  return [...filesBelow(context)].filter((name) => !ignore.ignores(name));
}

function* filesBelow(context: string, folder = ""): Generator<string> {
  const entries = readdirSync(join(context, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))) {
    const name = posix.join(folder, entry.name);
    if (!entry.isDirectory()) yield name;
    else if (!neverBuilt.has(entry.name)) yield* filesBelow(context, name);
  }
}

/** Folders that no image of Berth takes anything from: large, and not worth the walk. */
const neverBuilt = new Set(["node_modules", ".git"]);

/** As Go writes a file's mode: `-rw-r--r--`. */
function modeText(stats: Stats): string {
  const bits = [..."rwxrwxrwx"].map((letter, index) => ((stats.mode >> (8 - index)) & 1 ? letter : "-"));
  return `${stats.isSymbolicLink() ? "L" : "-"}${bits.join("")}`;
}
