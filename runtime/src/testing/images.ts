/**
 * Images for tests: built from a short Dockerfile, pushed to the local registry, and named by digest as the config
 * requires.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docker } from "../../../local/docker.ts";
import { baseImages } from "../../../local/images/list.ts";
import { machine, root } from "../../../machine/machine.ts";

const { registry } = machine;

/** The name and tag of a base image. The local registry has the original or the replacement that this recipe builds. */
export function baseTag(recipe: string): string {
  const image = baseImages.find((one) => one.recipe === recipe);
  if (image === undefined) throw new Error(`there is no base image ${recipe}`);
  return image.tag;
}

/** Each function returns the image's reference with its digest. */
export interface TestImages {
  /** An image of the local registry, e.g. docker.io/library/debian:bookworm-slim. */
  original: (name: string) => Promise<string>;
  /** Builds an image. `dockerfile` is the Dockerfile's text; `files` are the texts of more files in the build's folder, by name. */
  built: (name: string, dockerfile: string, files?: Record<string, string>) => Promise<string>;
  /** Builds berthd's image from this checkout. The image `golang` of the local registry contains the compiler. */
  berthd: (golang: string) => Promise<string>;
}

/** Builds images with the local cluster's Docker daemon, which has no network except the machine's own. */
export function testImages(): TestImages {
  const digestOf = async (name: string) => {
    const digests = await docker(["inspect", '--format={{join .RepoDigests " "}}', name]);
    const repository = name.replace(/:[^:/]*$/, "");
    const digest = digests.split(" ").find((one) => one.startsWith(`${repository}@`));
    if (digest === undefined)
      throw new Error(`Docker knows no digest of ${name} in the repository ${repository}, only ${digests}`);
    return digest;
  };
  const build = async (name: string, ...options: string[]) => {
    const tag = `${registry}/berth-test/${name}:latest`;
    await docker(["build", "--quiet", "--network=host", `--tag=${tag}`, ...options]);
    await docker(["push", "--quiet", tag]);
    return digestOf(tag);
  };
  return {
    original: async (name) => {
      await docker(["pull", "--quiet", `${registry}/${name}`]);
      return digestOf(`${registry}/${name}`);
    },
    built: async (name, dockerfile, files = {}) => {
      const context = mkdtempSync(join(tmpdir(), "berth-image-"));
      try {
        for (const [file, text] of Object.entries({ ...files, Dockerfile: dockerfile }))
          writeFileSync(join(context, file), text);
        return await build(name, context);
      } finally {
        rmSync(context, { recursive: true });
      }
    },
    berthd: (golang) =>
      build(
        "berthd",
        `--build-arg=GO_IMAGE=${registry}/${golang}`,
        `--file=${join(root, "images/berthd/Dockerfile")}`,
        root,
      ),
  };
}
