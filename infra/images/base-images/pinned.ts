/**
 * The base images, and the images that Berth runs without changes. Their digests are in base-images.json. No function here
 * asks a registry.
 */
import pinned from "./base-images.json" with { type: "json" };

/** The full name of each image: `name:tag@sha256:…`. */
export type BaseImages = Record<keyof typeof pinned, string>;

/** Whether the registry is on this machine. For such a registry, Berth uses plain HTTP, as Docker does. */
export const isLoopback = (registry: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/.test(registry);

/**
 * The image's name with the prefix: `127.0.0.1:5000` → `127.0.0.1:5000/docker.io/library/node:24`. An empty prefix changes
 * nothing.
 */
export const baseImageName = (prefix: string, tag: string): string => (prefix ? `${prefix}/${tag}` : tag);

/**
 * The images with the digests of base-images.json. A mirror has the same digests, because it holds copies for all platforms.
 * @param prefix registry and path in front of the original names; empty for the original registries
 */
export const pinnedImages = (prefix: string): BaseImages =>
  mapValues(pinned, ({ tag, digest }) => `${baseImageName(prefix, tag)}@${digest}`);

/** The original name and tag of each image, for example `docker.io/library/node:24-bookworm-slim`. */
export const imageTags: BaseImages = mapValues(pinned, ({ tag }) => tag);

function mapValues<Key extends string, From, To>(values: Record<Key, From>, map: (value: From) => To) {
  const entries = Object.entries<From>(values).map(([key, value]) => [key, map(value)]);
  return Object.fromEntries(entries) as Record<Key, To>;
}
