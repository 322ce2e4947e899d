/** Builds of images with build secrets. Pulumi's provider for Docker has no input for such secrets. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type * as pulumi from "@pulumi/pulumi";

/** A build as docker.Image describes it. Paths are relative to the folder infra/. */
export interface Build {
  context: string;
  dockerfile: string;
  platform: string;
  network: string;
  args: Record<string, string>;
}

/** The folder in which Pulumi runs the plugins, to which the paths are relative. */
const infra = join(import.meta.dirname, "..");

/**
 * Hooks that run the image's build with the secrets, just before the provider runs the same build without them. The provider then
 * takes every layer from the builder's cache, because a secret is no part of what BuildKit compares. The secrets are no input of a
 * resource, so they are not in Pulumi's state, and a changed secret builds nothing again.
 * @param secrets the content of each secret, by its id in the Dockerfile. Without secrets there are no hooks
 */
export function withSecrets(build: Build, secrets: Record<string, string>): pulumi.CustomResourceOptions {
  if (Object.keys(secrets).length === 0) return {};
  const run = () => buildWithSecrets(build, secrets);
  return { hooks: { beforeCreate: [run], beforeUpdate: [run] } };
}

/** The daemon's address, which Pulumi's provider for Docker finds in the same way. */
function daemon(): string {
  const sockets = [
    "/var/run/docker.sock",
    join(homedir(), ".docker/run/docker.sock"),
    join(homedir(), ".docker/desktop/docker.sock"),
  ];
  return process.env.DOCKER_HOST ?? `unix://${sockets.find(existsSync) ?? sockets[0]}`;
}

/**
 * Builds the image with the command `docker`, in the daemon that Pulumi's provider uses. The secrets are in the environment of
 * the command, and not among its arguments, which other users of the machine can read.
 * @throws Error with the last lines of the build's output
 */
export async function buildWithSecrets(build: Build, secrets: Record<string, string>): Promise<void> {
  const { context, dockerfile, platform, network, args } = build;
  const given = Object.entries(secrets).map(([id, value], index) => ({ id, value, variable: `BUILD_SECRET_${index}` }));
  const options = [
    ...[`--file=${dockerfile}`, `--platform=${platform}`, `--network=${network}`],
    ...Object.entries(args).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...given.map(({ id, variable }) => `--secret=id=${id},env=${variable}`),
  ];
  const env = {
    ...process.env,
    ...Object.fromEntries(given.map(({ variable, value }) => [variable, value])),
    DOCKER_HOST: daemon(),
    DOCKER_BUILDKIT: "1",
    BUILDKIT_PROGRESS: "plain",
    // This is the daemon's own builder. The cache of another builder of buildx is of no use to the provider.
    BUILDX_BUILDER: "default",
  };
  try {
    await promisify(execFile)("docker", ["build", ...options, context], { cwd: infra, env, maxBuffer: 2 ** 28 });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const why = stderr?.trim().split("\n").slice(-12).join("\n") || message;
    throw new Error(`The build of ${dockerfile} with its buildSecrets has failed: ${why}`);
  }
}
