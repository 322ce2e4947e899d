/**
 * `npm run images:update` updates the digests in infra/images/base-images/base-images.json of all images whose registry can be
 * reached.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isLoopback } from "../../infra/images/base-images/pinned.ts";
import { root } from "../../machine/machine.ts";
import { digestOf, parseReference } from "./digests.ts";

/** An image in infra/images/base-images/base-images.json. */
export interface PinnedImage {
  /** The image's full name and tag. */
  tag: string;
  /** The digest of the tag's index, `sha256:…`. It is the same for all platforms. */
  digest: string;
  /** Public repositories that name this digest for the tag. Missing if the digest came from the tag's own registry. */
  seenIn?: string[];
}

/** A registry's answer about an image: the digest of the tag, or the reason why the digest is unknown. */
export type Answer = { digest: string } | { failure: string };

/**
 * Returns the images with their new digests, and the messages about changed images (`moved`) and about images without an answer
 * (`left`). Pure.
 * @param answers the registries' answers, by the keys of the file
 */
export function refreshed(images: Record<string, PinnedImage>, answers: Record<string, Answer>) {
  const moved: string[] = [];
  const left: string[] = [];
  const next = Object.entries(images).map(([key, image]): [string, PinnedImage] => {
    const answer = answers[key] ?? { failure: "was not asked" };
    if ("failure" in answer) left.push(`${image.tag}: ${answer.failure}`);
    if (!("digest" in answer) || answer.digest === image.digest) return [key, image];
    moved.push(`${image.tag}\n  ${image.digest} →\n  ${answer.digest}`);
    return [key, { tag: image.tag, digest: answer.digest }];
  });
  return { images: Object.fromEntries(next), moved, left };
}

/** The file's text in the format of `npm run format`, which puts a list of strings on one line. */
export const fileOf = (images: Record<string, PinnedImage>): string =>
  `${JSON.stringify(images, null, 2).replace(/\[\s+([^\]]+?)\s+\]/g, (_, list: string) => `[${list.replace(/\s+/g, " ")}]`)}\n`;

/** Other files that name images with their digests. The paths are relative to the checkout. A test compares the digests. */
export const copies = ["compose.yaml", "images/agent/Dockerfile", "images/api/Dockerfile", "images/berthd/Dockerfile"];

/** Returns the text with new digests. In each line with an image's tag, the image's new digest replaces the old digest. Pure. */
export const withDigests = (
  text: string,
  before: Record<string, PinnedImage>,
  after: Record<string, PinnedImage>,
): string =>
  text
    .split("\n")
    .map((line) => {
      const [key, image] = Object.entries(before).find(([, { tag }]) => line.includes(tag)) ?? [];
      return key && image ? line.replace(image.digest, after[key]?.digest ?? image.digest) : line;
    })
    .join("\n");

/** The time in ms that a registry may take to answer for one image. */
const patience = 20_000;

async function ask(tag: string): Promise<Answer> {
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
  const before: Record<string, PinnedImage> = JSON.parse(await readFile(file, "utf8"));
  const asked = Object.entries(before).map(async ([key, { tag }]) => [key, await ask(tag)]);
  const { images, moved, left } = refreshed(before, Object.fromEntries(await Promise.all(asked)));
  if (moved.length > 0) await writeFile(file, fileOf(images));
  for (const copy of copies) await writeFile(copy, withDigests(await readFile(copy, "utf8"), before, images));
  for (const image of moved) console.log(image);
  console.log(`${moved.length} of ${Object.keys(before).length} images moved.`);
  if (left.length > 0)
    console.error(`\nThese images stay as they are, because their registry did not answer:\n${left.join("\n")}`);
  return left.length > 0 ? 1 : 0;
}

if (import.meta.main) {
  const [file = join(root, "infra/images/base-images/base-images.json"), ...others] = process.argv.slice(2);
  process.exitCode = await update(file, process.argv.length > 2 ? others : copies.map((copy) => join(root, copy)));
}
