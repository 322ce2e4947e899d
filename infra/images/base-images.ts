import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "../config/images.ts";
import { type BaseImages, baseImageName, imageTags, isLoopback, pinnedImages } from "./pinned.ts";
import { loginFor } from "./registry-login.ts";

/**
 * Docker on this machine (DOCKER_HOST, and its own logins), which also asks the machine's own registry for digests.
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
 * Each image by digest: those of base-images.json, which no registry is asked for. So the same commit deploys the same
 * images at any time.
 *
 * A registry on the machine itself holds stand-ins, or copies for this machine's platform alone. Their digests are
 * nobody else's, so they are asked for, and are written down nowhere.
 * @param prefix registry and path before the original names; empty for the originals
 */
export async function baseImages(prefix: string, provider: docker.Provider): Promise<BaseImages> {
  if (!isLoopback(prefix)) return pinnedImages(prefix);
  const asked = Object.entries(imageTags).map(async ([key, tag]) => [
    key,
    await withDigest(baseImageName(prefix, tag), provider),
  ]);
  return Object.fromEntries(await Promise.all(asked));
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
