/**
 * `npm run images:update` updates the digests in infra/images/base-images/base-images.json of all images whose registry can be
 * reached.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isLoopback } from "../infra/images/base-images/pinned.ts";
import { digestOf, parseReference } from "../local/images/digests.ts";
import { root } from "../machine/machine.ts";

/** An image in infra/images/base-images/base-images.json. */
export interface PinnedImage {
  /** The image's full name and tag. */
  tag: string;
  /** The digest of the tag's index, `sha256:…`. It is the same for all platforms. */
  digest: string;
  /** Public repositories that name this digest for the tag. Missing if the digest came from the tag's own registry. */
  seenIn?: string[];
}

/** The file's text in the format of `npm run format`, which puts a list of strings on one line. */
export const fileOf = (images: Record<string, PinnedImage>): string =>
  `${JSON.stringify(images, null, 2).replace(/\[\s+([^\]]+?)\s+\]/g, (_, list: string) => `[${list.replace(/\s+/g, " ")}]`)}\n`;

/** Other files that name images with their digests. The paths are relative to the checkout. A test compares the digests. */
export const copies = ["compose.yaml", "images/agent/Dockerfile", "images/api/Dockerfile", "images/berthd/Dockerfile"];

/** The time in ms that a registry may take to answer for one image. */
const patience = 20_000;

/** Returns the digest of the tag, or the reason why the digest is unknown. */
async function ask(tag: string): Promise<{ digest: string } | { failure: string }> {
  const { registry } = parseReference(tag);
  const auths = isLoopback(registry) ? [{ address: `http://${registry}`, authDisabled: true }] : [];
  try {
    return { digest: await digestOf(tag, auths, AbortSignal.timeout(patience)) };
  } catch (error) {
    const { message, cause } = error as Error;
    return { failure: cause instanceof Error ? `${message}: ${cause.message}` : message };
  }
}

/** @returns the command's exit code: 1 if a registry gave no digest */
async function update(file: string, copies: string[]): Promise<number> {
  const images: Record<string, PinnedImage> = JSON.parse(await readFile(file, "utf8"));
  const asked = Object.entries(images).map(async ([key, image]) => ({ key, ...image, answer: await ask(image.tag) }));
  const left: string[] = [];
  const moved: { tag: string; digest: string; next: string }[] = [];
  for (const { key, tag, digest, answer } of await Promise.all(asked)) {
    if ("failure" in answer) left.push(`${tag}: ${answer.failure}`);
    else if (answer.digest !== digest) {
      moved.push({ tag, digest, next: answer.digest });
      images[key] = { tag, digest: answer.digest };
      console.log(`${tag}\n  ${digest} →\n  ${answer.digest}`);
    }
  }
  if (moved.length > 0) await writeFile(file, fileOf(images));
  for (const copy of copies) {
    const lines = (await readFile(copy, "utf8")).split("\n").map((line) => {
      const image = moved.find(({ tag }) => line.includes(tag));
      return image ? line.replace(image.digest, image.next) : line;
    });
    await writeFile(copy, lines.join("\n"));
  }
  console.log(`${moved.length} of ${asked.length} images moved.`);
  if (left.length > 0)
    console.error(`\nThese images stay as they are, because their registry gave no digest:\n${left.join("\n")}`);
  return left.length > 0 ? 1 : 0;
}

if (import.meta.main) {
  const [file = join(root, "infra/images/base-images/base-images.json"), ...others] = process.argv.slice(2);
  process.exitCode = await update(file, process.argv.length > 2 ? others : copies.map((copy) => join(root, copy)));
}
