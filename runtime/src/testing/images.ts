/** Images for tests: built from a few lines, pushed to the local registry, and named by digest as the config wants them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findDocker } from "./docker.ts";

/** The cluster's nodes pull from no other. */
const registry = "127.0.0.1:5000";
const checkout = fileURLToPath(new URL("../../../", import.meta.url));

export interface TestImages {
  /** An image that the local registry has, e.g. docker.io/library/debian:bookworm-slim or berth/agent:dev. */
  original: (name: string) => Promise<string>;
  /** Of this Dockerfile, with these files beside it. */
  built: (name: string, dockerfile: string, files?: Record<string, string>) => Promise<string>;
  /** berthd of this checkout, compiled by this image of the local registry. */
  berthd: (golang: string) => Promise<string>;
}

/** What makes them. Builds use the machine's network, because Berth's daemon has none of its own. */
export async function testImages(): Promise<TestImages> {
  const { run } = await findDocker();
  const digestOf = async (name: string) => {
    const digests = await run(["inspect", '--format={{join .RepoDigests " "}}', name]);
    const repository = name.replace(/:[^:/]*$/, "");
    const digest = digests.split(" ").find((one) => one.startsWith(`${repository}@`));
    if (digest === undefined) throw new Error(`${name} has no digest in its registry, only ${digests}`);
    return digest;
  };
  const build = async (name: string, ...options: string[]) => {
    const tag = `${registry}/berth-test/${name}:latest`;
    await run(["build", "--quiet", "--network=host", `--tag=${tag}`, ...options], { DOCKER_BUILDKIT: "1" });
    await run(["push", "--quiet", tag]);
    return digestOf(tag);
  };
  return {
    original: async (name) => {
      await run(["pull", "--quiet", `${registry}/${name}`]);
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
        `--file=${join(checkout, "images/berthd/Dockerfile")}`,
        checkout,
      ),
  };
}
