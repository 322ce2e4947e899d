/** `npm run images:update` renews the digests of infra/images/base-images.json, where a registry can be reached. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isLoopback } from "../../infra/images/pinned.ts";
import { root } from "../../machine/machine.ts";
import { digestOf, parseReference } from "./digests.ts";

/** One image of the file. */
export interface PinnedImage {
  /** Full name and tag. */
  tag: string;
  /** Of the tag's index, so the same for all platforms: `sha256:…`. */
  digest: string;
  /** Public repositories that name this digest for the tag. Missing where the digest came from the tag's own registry. */
  seenIn?: string[];
}

/** What a registry said of an image: the tag's digest, or why it said none. */
export type Answer = { digest: string } | { failure: string };

/**
 * The file with the new digests, and what is to be told about them; pure.
 * @param answers by the file's keys
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

/** The file's text, in the format of `npm run format`: a list of texts on one line. */
export const fileOf = (images: Record<string, PinnedImage>): string =>
  `${JSON.stringify(images, null, 2).replace(/\[\s+([^\]]+?)\s+\]/g, (_, list: string) => `[${list.replace(/\s+/g, " ")}]`)}\n`;

/** Files that name some of the images with their digests too, relative to the checkout: a test compares them. */
export const copies = ["compose.yaml", "images/agent/Dockerfile", "images/api/Dockerfile", "images/berthd/Dockerfile"];

/** The text, with an image's new digest in the place of the old one in each line that has its tag; pure. */
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

/** How long a registry may take for one image, in ms. */
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

/** @returns the command's exit code: 1 where a registry did not answer */
async function update(file: string, copies: string[]): Promise<number> {
  const before: Record<string, PinnedImage> = JSON.parse(await readFile(file, "utf8"));
  const asked = Object.entries(before).map(async ([key, { tag }]) => [key, await ask(tag)]);
  const { images, moved, left } = refreshed(before, Object.fromEntries(await Promise.all(asked)));
  if (moved.length > 0) await writeFile(file, fileOf(images));
  for (const copy of copies) await writeFile(copy, withDigests(await readFile(copy, "utf8"), before, images));
  for (const image of moved) console.log(image);
  console.log(`${moved.length} of ${Object.keys(before).length} images moved.`);
  if (left.length > 0)
    console.error(`\nWithout an answer of their registry these stay as they are:\n${left.join("\n")}`);
  return left.length > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [file = join(root, "infra/images/base-images.json"), ...others] = process.argv.slice(2);
  process.exitCode = await update(file, process.argv.length > 2 ? others : copies.map((copy) => join(root, copy)));
}
