import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

/** The images that Berth builds on or runs as they are, each as `name:tag@digest`. */
export interface BaseImages {
  nodeBuild: pulumi.Output<string>;
  nodeRuntime: pulumi.Output<string>;
  debian: pulumi.Output<string>;
  postgres: pulumi.Output<string>;
  redis: pulumi.Output<string>;
}

/** Registries on the machine itself speak plain http; Docker treats them so too. */
export const isLoopback = (registry: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/.test(registry);

/** The image's full name below the prefix: `127.0.0.1:5000` → `127.0.0.1:5000/docker.io/library/node:24`; no prefix, no change. */
export const baseImageName = (prefix: string, image: string): string => (prefix ? `${prefix}/${image}` : image);

/** Docker on this machine (DOCKER_HOST, and its own logins), which also asks registries for digests. */
export function dockerProvider(baseRegistry: string): docker.Provider {
  const registryAuth = isLoopback(baseRegistry)
    ? [{ address: `http://${baseRegistry.replace(/\/.*/, "")}`, authDisabled: true }]
    : [];
  return new docker.Provider("docker", { registryAuth });
}

/**
 * Asks the registry which digest each tag has now. A base image that changed under its tag thus changes what is built and
 * deployed, and nothing else does.
 * @param prefix registry and path before the original names; empty for the originals
 */
export function baseImages(prefix: string, provider: docker.Provider): BaseImages {
  const pinned = (image: string) => {
    const name = baseImageName(prefix, image);
    return docker.getRegistryImageOutput({ name }, { provider }).sha256Digest.apply((digest) => `${name}@${digest}`);
  };
  return {
    nodeBuild: pinned("docker.io/library/node:24-bookworm-slim"),
    nodeRuntime: pinned("gcr.io/distroless/nodejs24-debian13:nonroot"),
    debian: pinned("docker.io/library/debian:bookworm-slim"),
    postgres: pinned("docker.io/library/postgres:15-bookworm"),
    redis: pinned("docker.io/library/redis:7-bookworm"),
  };
}
