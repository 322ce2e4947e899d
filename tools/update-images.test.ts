/** Runs the command `images:update` against a registry of the test. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../machine/machine.ts";
import { fileOf, type PinnedImage } from "./update-images.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const seenIn = ["one/repository", "another/one"];

/**
 * Starts a registry with these digests, by repository and tag. To a request that does not accept an image's index, the registry
 * answers with another digest, as for one platform.
 */
async function registry(digests: Record<string, string>): Promise<string> {
  const server = createServer((request, response) => {
    const [, repository, tag] = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(request.url ?? "") ?? [];
    const known = digests[`${repository}:${tag}`];
    const index = request.headers.accept?.includes("application/vnd.oci.image.index.v1+json");
    if (request.method !== "HEAD" || known === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "docker-content-digest": index ? known : digest("f") }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A registry's address at which nothing listens. */
async function nowhere(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}

/** Runs the command on a file that contains these images. */
async function update(images: Record<string, PinnedImage>) {
  const folder = await mkdtemp(join(tmpdir(), "berth-images-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [file, copy] = [join(folder, "base-images.json"), join(folder, "Dockerfile")];
  await writeFile(file, fileOf(images));
  const namesOf = (images: Record<string, PinnedImage>) =>
    Object.values(images).map(({ tag, digest }) => `ARG IMAGE=${tag}@${digest}`);
  await writeFile(copy, namesOf(images).join("\n"));
  const run = promisify(execFile)(process.execPath, [join(root, "tools/update-images.ts"), file, copy]);
  const {
    code = 0,
    stdout,
    stderr,
  } = (await run.catch((error) => error as { code: number; stdout: string; stderr: string })) as {
    code?: number;
    stdout: string;
    stderr: string;
  };
  const updated = JSON.parse(await readFile(file, "utf8")) as Record<string, PinnedImage>;
  // The other files that name the images are changed together with the file.
  expect((await readFile(copy, "utf8")).split("\n")).toEqual(namesOf(updated));
  return { code, stdout, stderr, images: updated };
}

test("digests that moved are written and printed", async () => {
  const host = await registry({ "library/postgres:15": digest("2"), "library/redis:7": digest("3") });
  const redis = { tag: `${host}/library/redis:7`, digest: digest("3"), seenIn };
  const postgres = { tag: `${host}/library/postgres:15`, digest: digest("1"), seenIn };
  const { code, stdout, stderr, images } = await update({ redis, postgres });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(`${postgres.tag}\n  ${digest("1")} →\n  ${digest("2")}\n1 of 2 images moved.\n`);
  // The new digest comes from the registry, so `seenIn`, which is about the old digest, is removed.
  expect(images).toEqual({ redis, postgres: { tag: postgres.tag, digest: digest("2") } });
});

test("an image whose registry gives no digest stays as it is, and is named", async () => {
  const host = await registry({ "library/postgres:15": digest("2") });
  const [gone, away] = [`${host}/library/gone:1`, `${await nowhere()}/library/away:1`];
  const { code, stdout, stderr, images } = await update({
    gone: { tag: gone, digest: digest("1"), seenIn },
    postgres: { tag: `${host}/library/postgres:15`, digest: digest("1"), seenIn },
    away: { tag: away, digest: digest("1"), seenIn },
  });
  expect(code).toBe(1);
  expect(stdout).toContain("1 of 3 images moved.");
  expect(stderr).toMatch(/stay as they are/);
  expect(stderr).toMatch(new RegExp(`${gone}: .* answers 404`));
  expect(stderr).toMatch(new RegExp(`${away}: fetch failed: connect ECONNREFUSED`));
  expect(images).toEqual({
    gone: { tag: gone, digest: digest("1"), seenIn },
    postgres: { tag: `${host}/library/postgres:15`, digest: digest("2") },
    away: { tag: away, digest: digest("1"), seenIn },
  });
});

test("the command writes the committed file as it is formatted", async () => {
  const text = await readFile(join(root, "infra/images/base-images/base-images.json"), "utf8");
  expect(fileOf(JSON.parse(text))).toBe(text);
});
