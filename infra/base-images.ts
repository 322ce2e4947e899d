import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "./config/images.ts";
import { loginFor } from "./registry-login.ts";

/** The images that Berth builds on or runs as they are. */
const images = {
  nodeBuild: "docker.io/library/node:24-bookworm-slim",
  nodeRuntime: "gcr.io/distroless/nodejs24-debian13:nonroot",
  debian: "docker.io/library/debian:bookworm-slim",
  postgres: "docker.io/library/postgres:15-bookworm",
  redis: "docker.io/library/redis:7-bookworm",
  prometheus: "docker.io/prom/prometheus:v3.13.5",
  prometheusAdapter: "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0",
  postgresExporter: "quay.io/prometheuscommunity/postgres-exporter:v0.11.1",
  redisExporter: "docker.io/oliver006/redis_exporter:v1.45.0-alpine",
};

/** Each of them as `name:tag@digest`. */
export type BaseImages = typeof images;

/** Registries on the machine itself speak plain http; Docker treats them so too. */
export const isLoopback = (registry: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/.test(registry);

/** The image's full name below the prefix: `127.0.0.1:5000` → `127.0.0.1:5000/docker.io/library/node:24`; no prefix, no change. */
export const baseImageName = (prefix: string, image: string): string => (prefix ? `${prefix}/${image}` : image);

/**
 * Docker on this machine (DOCKER_HOST, and its own logins), which also asks registries for digests.
 * @param logins of the stack's config; for their registries they go before Docker's own
 */
export function dockerProvider(baseRegistry: string, logins: RegistryLogin[]): docker.Provider {
  const open = isLoopback(baseRegistry) && loginFor(logins, baseRegistry) === undefined;
  return new docker.Provider("docker", {
    registryAuth: [
      ...(open ? [{ address: address(baseRegistry), authDisabled: true }] : []),
      ...logins.map(({ server, username, password }) => ({
        address: address(server),
        username,
        password: pulumi.secret(password),
      })),
    ],
  });
}

/** Where the registry answers: `127.0.0.1:5000/berth` → `http://127.0.0.1:5000`. */
const address = (registry: string) => `${isLoopback(registry) ? "http" : "https"}://${registry.replace(/\/.*/, "")}`;

/**
 * Asks the registry which digest each tag has now. A base image that changed under its tag thus changes what is built and
 * deployed, and nothing else does.
 * @param prefix registry and path before the original names; empty for the originals
 */
export async function baseImages(prefix: string, provider: docker.Provider): Promise<BaseImages> {
  const pinned = Object.entries(images).map(async ([key, image]) => [
    key,
    await withDigest(baseImageName(prefix, image), provider),
  ]);
  return Object.fromEntries(await Promise.all(pinned));
}

/** `name:tag` → `name:tag@sha256:…`. */
async function withDigest(name: string, provider: docker.Provider): Promise<string> {
  try {
    const { sha256Digest } = await docker.getRegistryImage({ name }, { provider });
    return `${name}@${sha256Digest}`;
  } catch (error) {
    const [reason] = /[^*]*$/.exec((error as Error).message.trim()) ?? [];
    throw new pulumi.RunError(`The digest of ${name} can't be read from its registry:${reason}`);
  }
}
