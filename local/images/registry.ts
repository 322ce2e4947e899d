/** Images in a registry over its HTTP API: what the Docker client can't do without a daemon holding the image. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machine } from "../../machine/machine.ts";
import { UserError } from "../lib/steps.ts";

const { registry } = machine;

const manifestTypes = [
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.index.v1+json",
];

interface Manifest {
  mediaType: string;
  config: { digest: string };
  layers: { digest: string }[];
}

interface ImageConfig {
  config?: { Labels?: Record<string, string> | null };
}

/** The image's name in the local registry: the original's full name behind the registry's address. */
export const localName = (name: string) => `${registry}/${name}`;

/** `docker.io/library/debian:12` → `docker.io/library/debian`. */
export const repositoryOf = (name: string) => name.slice(0, name.lastIndexOf(":"));

/** Whether there is an image of this name in the local registry. */
export async function isInRegistry(name: string): Promise<boolean> {
  const { repository, tag } = split(name);
  const init = { method: "HEAD", headers: { accept: manifestTypes.join(", ") } };
  return (await call(repository, `manifests/${tag}`, init)).ok;
}

/** A label of an image in the local registry: null if the image lacks it, undefined if there is no such image. */
export async function labelOf(name: string, label: string): Promise<string | null | undefined> {
  const { repository, tag } = split(name);
  const response = await call(repository, `manifests/${tag}`, { headers: { accept: manifestTypes.join(", ") } });
  if (response.status === 404) return undefined;
  const manifest = (await response.json()) as Manifest;
  const image = (await (await call(repository, `blobs/${manifest.config.digest}`)).json()) as ImageConfig;
  return image.config?.Labels?.[label] ?? null;
}

/** Gives an image of the local registry another tag of its repository too. */
export async function nameAlso(name: string, other: string): Promise<void> {
  const { repository, tag } = split(name);
  const response = await call(repository, `manifests/${tag}`, { headers: { accept: manifestTypes.join(", ") } });
  const headers = { "content-type": response.headers.get("content-type") ?? "" };
  const body = await response.text();
  await call(repository, `manifests/${split(other).tag}`, { method: "PUT", headers, body });
}

/** Copies an image of the local registry into `dir`: a manifest named `key` and the blobs, shared among images. */
export async function saveImage(name: string, dir: string, key: string): Promise<void> {
  const { repository, tag } = split(name);
  const response = await call(repository, `manifests/${tag}`, { headers: { accept: manifestTypes.join(", ") } });
  const text = await response.text();
  await mkdir(join(dir, "blobs"), { recursive: true });
  for (const digest of digests(JSON.parse(text))) {
    if (existsSync(blobFile(dir, digest))) continue;
    await writeWhole(blobFile(dir, digest), await (await call(repository, `blobs/${digest}`)).bytes());
  }
  await writeWhole(join(dir, `${key}.json`), text); // last, for it says that the image is complete
}

/** Puts an image that `saveImage` saved into the local registry. Returns false if it isn't there, or not undamaged. */
export async function restoreImage(name: string, dir: string, key: string): Promise<boolean> {
  const file = join(dir, `${key}.json`);
  if (!existsSync(file)) return false;
  const text = await readFile(file, "utf8");
  const manifest = JSON.parse(text) as Manifest;
  const { repository, tag } = split(name);
  for (const digest of digests(manifest)) {
    const content = await readFile(blobFile(dir, digest)).catch(() => Buffer.alloc(0));
    if (digestOf(content) !== digest) return false;
    await upload(repository, content);
  }
  const headers = { "content-type": manifest.mediaType };
  await call(repository, `manifests/${tag}`, { method: "PUT", headers, body: text });
  return true;
}

/**
 * Puts an image of one layer into the local registry.
 * @param layer a tar
 * @param config of the container, for example its `Entrypoint`
 */
export async function pushImage(name: string, layer: Uint8Array, config: object): Promise<void> {
  const { repository, tag } = split(name);
  const about = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  };
  const type = "application/vnd.oci.image";
  const part = async (kind: string, content: Uint8Array) => {
    const digest = await upload(repository, content);
    return { mediaType: `${type}.${kind}`, digest, size: content.length };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: await part("config.v1+json", Buffer.from(JSON.stringify(about))),
    layers: [await part("layer.v1.tar", layer)],
  };
  const headers = { "content-type": manifest.mediaType };
  await call(repository, `manifests/${tag}`, { method: "PUT", headers, body: JSON.stringify(manifest) });
}

const digestOf = (content: Uint8Array) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** Returns the content's digest. */
async function upload(repository: string, content: Uint8Array): Promise<string> {
  const digest = digestOf(content);
  if ((await call(repository, `blobs/${digest}`, { method: "HEAD" })).ok) return digest;
  const begun = await call(repository, "blobs/uploads/", { method: "POST" });
  const to = new URL(begun.headers.get("location") ?? "", `http://${registry}`);
  to.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  accepted(await fetch(to, { method: "PUT", headers, body: content as Uint8Array<ArrayBuffer> }));
  return digest;
}

const digests = (manifest: Manifest) => [manifest.config, ...manifest.layers].map(({ digest }) => digest);
const blobFile = (dir: string, digest: string) => join(dir, "blobs", digest.replace("sha256:", ""));

/** So that an interruption leaves no half file under the name. */
async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${file}.${process.pid}.tmp`, content);
  await rename(`${file}.${process.pid}.tmp`, file);
}

function split(name: string): { repository: string; tag: string } {
  const repository = repositoryOf(name);
  return { repository, tag: name.slice(repository.length + 1) };
}

async function call(repository: string, path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(`http://${registry}/v2/${repository}/${path}`, init).catch((error: Error) => {
    throw new UserError(
      `The local registry at ${registry} doesn't answer (${error.message}). Run npm run up to start it.`,
    );
  });
  return response.status === 404 ? response : accepted(response);
}

function accepted(response: Response): Response {
  if (!response.ok)
    throw new UserError(`The local registry answered ${response.status} to ${response.url}: run npm run up again.`);
  return response;
}
