/** The images that the stack `dev` runs, in the local registry, and functions that read an image's content. */
import { execa } from "execa";
import { docker, dockerHost } from "../../local/docker.ts";
import { stackOutputs } from "../../local/pulumi/stack.ts";
import { machine } from "../../machine/machine.ts";

const { registry } = machine;

const { apiImage, agentImage, berthdImage } = await stackOutputs("dev");
/** `127.0.0.1:5000/berth/api@sha256:…` → `berth/api@sha256:…`. */
const inRegistry = (reference: string) => reference.slice(registry.length + 1);

export const api = inRegistry(apiImage);
export const agent = inRegistry(agentImage);
export const berthd = inRegistry(berthdImage);

export interface Config {
  User: string;
  Labels: Record<string, string> | null;
  ExposedPorts?: Record<string, object>;
  Healthcheck?: { Test: string[] };
  Entrypoint: string[];
}

/** The image's config. @param image a name in the local registry */
export async function config(image: string): Promise<Config> {
  return JSON.parse(await docker(["inspect", "--format={{json .Config}}", await pull(image)]));
}

interface File {
  /** The file's mode as `ls -l` prints it. */
  mode: string;
  /** The file's owner as uid/gid. */
  owner: string;
  path: string;
}

/** All files of the image. The result is cached, because reading the files takes seconds. */
export const files = memoized(async (image: string): Promise<File[]> => {
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
});

interface Layer {
  digest: string;
  /** The compressed size in the registry. */
  megabytes: number;
}

/** The image's layers. The layers of the base image come first. */
export async function layers(image: string): Promise<Layer[]> {
  const [, repository, reference] = /^(.+?)[:@]([^:@/]+|sha256:[0-9a-f]+)$/.exec(image) ?? [];
  const accept = "application/vnd.docker.distribution.manifest.v2+json";
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${reference}`, { headers: { accept } });
  if (!response.ok) throw new Error(`The registry answers ${response.status} for ${image}`);
  const manifest = (await response.json()) as { layers: { digest: string; size: number }[] };
  return manifest.layers.map(({ digest, size }) => ({ digest, megabytes: size / 1e6 }));
}

/** Runs a program of the image without a network and returns its output. */
export const runIn = async (image: string, program: string, ...args: string[]): Promise<string> =>
  docker(["run", "--rm", "--network=none", `--entrypoint=${program}`, await pull(image), ...args]);

/** The SHA-256 of a file in the image. This also works for an image that contains no program to compute it. */
export async function sumOf(image: string, path: string): Promise<string> {
  const id = await docker(["create", await pull(image)]);
  try {
    const env = { DOCKER_HOST: dockerHost };
    const { stdout } = await execa("/usr/bin/docker", ["cp", `${id}:${path}`, "-"], {
      env,
      encoding: "buffer",
      buffer: { stdout: false },
    })
      .pipe("tar", ["--extract", "--to-stdout"], { encoding: "buffer", buffer: { stdout: false } })
      .pipe("sha256sum");
    return stdout.slice(0, 64);
  } finally {
    await docker(["rm", id]);
  }
}

/** Pulls the newest version of the image, once in each test file, and returns the image's name in the Docker daemon. */
export const pull = memoized(async (image: string): Promise<string> => {
  const name = `${registry}/${image}`;
  await docker(["pull", "--quiet", name]);
  return name;
});

function memoized<T>(read: (image: string) => Promise<T>): (image: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (image) => {
    const reading = known.get(image) ?? read(image);
    known.set(image, reading);
    return reading;
  };
}
