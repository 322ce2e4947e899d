/** The images that Berth builds on or runs as they are, by the digests of base-images.json; pure. */
import pinned from "./base-images.json" with { type: "json" };

/** Each image as `name:tag@sha256:…`. */
export type BaseImages = Record<keyof typeof pinned, string>;

/** Registries on the machine itself speak plain http; Docker treats them so too. */
export const isLoopback = (registry: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/.test(registry);

/** The image's full name below the prefix: `127.0.0.1:5000` → `127.0.0.1:5000/docker.io/library/node:24`; no prefix, no change. */
export const baseImageName = (prefix: string, tag: string): string => (prefix ? `${prefix}/${tag}` : tag);

/**
 * Every image by the digest that is committed. A mirror has the same digests, because it holds copies with all platforms.
 * @param prefix registry and path before the original names; empty for the originals
 */
export const pinnedImages = (prefix: string): BaseImages =>
  mapValues(pinned, ({ tag, digest }) => `${baseImageName(prefix, tag)}@${digest}`);

/** The original name and tag of each image, for example `docker.io/library/node:24-bookworm-slim`. */
export const imageTags: BaseImages = mapValues(pinned, ({ tag }) => tag);

function mapValues<Key extends string, From, To>(values: Record<Key, From>, map: (value: From) => To) {
  const entries = Object.entries<From>(values).map(([key, value]) => [key, map(value)]);
  return Object.fromEntries(entries) as Record<Key, To>;
}
