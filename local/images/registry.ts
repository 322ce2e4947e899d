/**
 * Reads and writes images of the local registry through the registry's HTTP API. The Docker client can't do this unless a daemon
 * holds the image.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machine } from "../../machine/machine.ts";
import { UserError } from "../lib/steps.ts";
import { manifestTypes } from "./digests.ts";

const { registry } = machine;

interface Manifest {
  mediaType: string;
  config: { digest: string };
  layers: { digest: string }[];
}

/** The image's name in the local registry: the registry's address, followed by the original's full name. */
export const localName = (name: string) => `${registry}/${name}`;

/** `docker.io/library/debian:12` → `docker.io/library/debian`. */
export const repositoryOf = (name: string) => name.slice(0, name.lastIndexOf(":"));
const tagOf = (name: string) => name.slice(name.lastIndexOf(":") + 1);

/** Whether there is an image of this name in the local registry. */
export async function isInRegistry(name: string): Promise<boolean> {
  return (await manifestOf(name, "HEAD")).ok;
}

/** A label of an image in the local registry: null if the image lacks the label, undefined if the image does not exist. */
export async function labelOf(name: string, label: string): Promise<string | null | undefined> {
  const response = await manifestOf(name);
  if (response.status === 404) return undefined;
  const { config } = (await response.json()) as Manifest;
  const image = await (await call(repositoryOf(name), `blobs/${config.digest}`)).json();
  return (image as { config?: { Labels?: Record<string, string> | null } }).config?.Labels?.[label] ?? null;
}

/** Gives an image of the local registry a second tag in the same repository. */
export async function nameAlso(name: string, other: string): Promise<void> {
  const response = await manifestOf(name);
  await putManifest(other, await response.text(), response.headers.get("content-type") ?? "");
}

/** Copies an image of the local registry into `dir`: a manifest named `key`, and the blobs, which images share. */
export async function saveImage(name: string, dir: string, key: string): Promise<void> {
  const text = await (await manifestOf(name)).text();
  await mkdir(join(dir, "blobs"), { recursive: true });
  for (const digest of digests(JSON.parse(text))) {
    if (existsSync(blobFile(dir, digest))) continue;
    await writeWhole(blobFile(dir, digest), await (await call(repositoryOf(name), `blobs/${digest}`)).bytes());
  }
  await writeWhole(join(dir, `${key}.json`), text); // last, because the manifest shows that the image is complete
}

/** Puts an image that `saveImage` saved into the local registry. Returns false if the saved image is missing or damaged. */
export async function restoreImage(name: string, dir: string, key: string): Promise<boolean> {
  const file = join(dir, `${key}.json`);
  if (!existsSync(file)) return false;
  const text = await readFile(file, "utf8");
  const manifest = JSON.parse(text) as Manifest;
  for (const digest of digests(manifest)) {
    const content = await readFile(blobFile(dir, digest)).catch(() => Buffer.alloc(0));
    if (digestOf(content) !== digest) return false;
    await upload(repositoryOf(name), content);
  }
  await putManifest(name, text, manifest.mediaType);
  return true;
}

/**
 * Puts an image of one layer into the local registry.
 * @param layer the layer as a tar archive
 * @param config the container's settings, for example `Entrypoint`
 */
export async function pushImage(name: string, layer: Uint8Array, config: object): Promise<void> {
  const about = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  };
  const type = "application/vnd.oci.image";
  const part = async (kind: string, content: Uint8Array) => {
    const digest = await upload(repositoryOf(name), content);
    return { mediaType: `${type}.${kind}`, digest, size: content.length };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: await part("config.v1+json", Buffer.from(JSON.stringify(about))),
    layers: [await part("layer.v1.tar", layer)],
  };
  await putManifest(name, JSON.stringify(manifest), manifest.mediaType);
}

/** The answer to a request for the image's manifest: 404 if the image does not exist. */
const manifestOf = (name: string, method = "GET") =>
  call(repositoryOf(name), `manifests/${tagOf(name)}`, { method, headers: { accept: manifestTypes } });

const putManifest = (name: string, body: string, type: string) =>
  call(repositoryOf(name), `manifests/${tagOf(name)}`, { method: "PUT", headers: { "content-type": type }, body });

const digestOf = (content: Uint8Array) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** Uploads the content unless the repository has it already. Returns the content's digest. */
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

/** Writes a temporary file and renames it, so that an interruption leaves no incomplete file under the final name. */
async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${file}.${process.pid}.tmp`, content);
  await rename(`${file}.${process.pid}.tmp`, file);
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
