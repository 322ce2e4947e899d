import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
/** Registries on the machine itself speak plain http; Docker treats them so too. */
export const isLoopback = (registry) => /^(localhost|127(\.\d+){3}|\[::1\])(:|\/|$)/.test(registry);
/** The image's full name below the prefix: `127.0.0.1:5000` → `127.0.0.1:5000/docker.io/library/node:24`; no prefix, no change. */
export const baseImageName = (prefix, image) => (prefix ? `${prefix}/${image}` : image);
/** Docker on this machine (DOCKER_HOST, and its own logins), which also asks registries for digests. */
export function dockerProvider(baseRegistry) {
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
export async function baseImages(prefix, provider) {
    const pin = (image) => withDigest(baseImageName(prefix, image), provider);
    const [nodeBuild, nodeRuntime, debian, postgres, redis] = await Promise.all([
        pin("docker.io/library/node:24-bookworm-slim"),
        pin("gcr.io/distroless/nodejs24-debian13:nonroot"),
        pin("docker.io/library/debian:bookworm-slim"),
        pin("docker.io/library/postgres:15-bookworm"),
        pin("docker.io/library/redis:7-bookworm"),
    ]);
    return { nodeBuild, nodeRuntime, debian, postgres, redis };
}
/** `name:tag` → `name:tag@sha256:…`. */
async function withDigest(name, provider) {
    try {
        const { sha256Digest } = await docker.getRegistryImage({ name }, { provider });
        return `${name}@${sha256Digest}`;
    }
    catch (error) {
        const [reason] = /[^*]*$/.exec(error.message.trim()) ?? [];
        throw new pulumi.RunError(`The digest of ${name} can't be read from its registry:${reason}`);
    }
}
