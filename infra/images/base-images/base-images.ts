import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../../config/config.ts";
import { builtImages } from "../../config/images.ts";
import { loginFor } from "../registry-login.ts";
import { type BaseImages, baseImageName, imageTags, isLoopback, pinnedImages } from "./pinned.ts";

/**
 * Pulumi's provider for Docker on this machine. The provider uses DOCKER_HOST and Docker's own logins. For a registry in the
 * config's `registryLogins`, the config's login replaces Docker's own. The provider also reads digests from a registry on this
 * machine.
 * @returns undefined if the stack builds no image and has no base images in a registry on this machine; `up` then needs no Docker
 */
export function dockerProvider(
  config: Pick<Config, "images" | "baseRegistry" | "registryLogins">,
): docker.Provider | undefined {
  const { images, baseRegistry, registryLogins: logins } = config;
  if (builtImages(images).length === 0 && !isLoopback(baseRegistry)) return undefined;
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

/** The URL of a registry: `127.0.0.1:5000/berth` → `http://127.0.0.1:5000`. */
const address = (registry: string) => `${isLoopback(registry) ? "http" : "https"}://${registry.replace(/\/.*/, "")}`;

/**
 * The base images by digest. The digests are those of base-images.json, and no registry is asked for them. So a commit always
 * deploys the same images.
 *
 * A registry on this machine is an exception. This registry holds replacement images or copies for this machine's platform
 * only, so the images have other digests. These digests are read from the registry at each run and are stored nowhere.
 * @param prefix registry and path in front of the original names; empty for the original registries
 * @param provider needed only for a registry on this machine
 */
export async function baseImages(prefix: string, provider: docker.Provider | undefined): Promise<BaseImages> {
  if (!isLoopback(prefix) || provider === undefined) return pinnedImages(prefix);
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
    throw new pulumi.RunError(`The digest of ${name} can't be read from the registry:${reason}`);
  }
}
