/**
 * The files from which an image is built, and a digest of these files. For Berth's images, the official plugin computes the same
 * digest.
 */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, type Stats } from "node:fs";
import { join, posix, relative } from "node:path";
import dockerignore from "@balena/dockerignore";

/**
 * Returns a digest of all files of the build. A changed digest means that the image must be built again.
 * @param context the folder of the build
 * @param dockerfile the path of the Dockerfile. A file <dockerfile>.dockerignore in the Dockerfile's folder has precedence over the
 * context's .dockerignore
 */
export function contextDigest(context: string, dockerfile: string): string {
  const hash = createHash("sha256");
  const add = (name: string, mode: string, content: Buffer | string) => {
    hash.update(posix.normalize(name)).update(mode).update(createHash("sha256").update(content).digest()).update("\0");
  };
  // The Dockerfile is added first, under this name whatever its path is, and without its mode.
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

/**
 * Returns the paths of the context's files, except the files that the ignore file excludes, and except the folders `neverBuilt`.
 * The entries of each folder are sorted by the bytes of their names.
 */
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

/** Large folders that are skipped, because no image of Berth uses their files. */
const neverBuilt = new Set(["node_modules", ".git"]);

/** Returns a file's mode as Go prints it, for example `-rw-r--r--`. */
function modeText(stats: Stats): string {
  const bits = [..."rwxrwxrwx"].map((letter, index) => ((stats.mode >> (8 - index)) & 1 ? letter : "-"));
  return `${stats.isSymbolicLink() ? "L" : "-"}${bits.join("")}`;
}
