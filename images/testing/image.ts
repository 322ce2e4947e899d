/** Berth's images as the stack `dev` has them in the local registry, and what is in one. */
import { execa } from "execa";
import { docker, dockerHost } from "../../local/docker.ts";
import { registry } from "../../local/lib/paths.ts";

export const api = "berth/api:dev";
export const agent = "berth/agent:dev";

export interface Config {
  User: string;
  Labels: Record<string, string> | null;
  ExposedPorts?: Record<string, object>;
  Healthcheck?: { Test: string[] };
  Entrypoint: string[];
}

/** The image's config. `image` is a name in the local registry. */
export async function config(image: string): Promise<Config> {
  return JSON.parse(await docker(["inspect", "--format={{json .Config}}", await pull(image)]));
}

interface File {
  /** As `ls -l` prints it. */
  mode: string;
  /** uid/gid. */
  owner: string;
  path: string;
}

/** Everything in the image's file system. */
export async function files(image: string): Promise<File[]> {
  const id = await docker(["create", await pull(image)]);
  try {
    const env = { DOCKER_HOST: dockerHost };
    const { stdout } = await execa("docker", ["export", id], {
      env,
      encoding: "buffer",
      buffer: { stdout: false },
    }).pipe("tar", ["--list", "--verbose", "--numeric-owner"]);
    return stdout.split("\n").map((line) => {
      const [, mode = "", owner = "", path = ""] = /^(\S+) (\S+) +\d\S* \S+ \S+ (.*?)(?: -> .*)?$/.exec(line) ?? [];
      return { mode, owner, path };
    });
  } finally {
    await docker(["rm", id]);
  }
}

/** The image's layers as the registry keeps them, in megabytes. */
export async function compressedMegabytes(image: string): Promise<number> {
  const [repository, tag] = image.split(":");
  const accept = "application/vnd.docker.distribution.manifest.v2+json";
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${tag}`, { headers: { accept } });
  const { layers } = (await response.json()) as { layers: { size: number }[] };
  return layers.reduce((sum, { size }) => sum + size, 0) / 1e6;
}

/** Fetches the newest and returns the name that the daemon knows it by. */
export async function pull(image: string): Promise<string> {
  const name = `${registry}/${image}`;
  await docker(["pull", "--quiet", name]);
  return name;
}
