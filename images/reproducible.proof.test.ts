/**
 * Tests that two builds of a commit give the same files. The builds use clones with different file dates, and run every command
 * again.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test, vi } from "vitest";
import { docker, dockerHost } from "../local/docker.ts";
import { machine } from "../machine/machine.ts";
import { copyOfCheckout } from "../tests/checkout.ts";

const { registry } = machine;

// The timeout is long, because each of the two builds installs all packages.
vi.setConfig({ testTimeout: 900_000 });

/** An image's config, and every file with its mode, owner and the digest of its content, but without dates. */
interface Contents {
  config: unknown;
  files: string[];
}

/**
 * Builds the image from a clone whose files all have this date.
 * @param change changes the Dockerfile
 */
async function build(image: string, date: string, change = (dockerfile: string) => dockerfile): Promise<Contents> {
  const clone = await copyOfCheckout();
  try {
    const file = join(clone, "images", image, "Dockerfile");
    // A random command in every RUN disables the layer cache. `--no-cache` would also empty the mounted caches with the package
    // lists, which both builds must share.
    const edited = (await readFile(file, "utf8")).replace(/^RUN (?:--\S+\s+(?:\\\n\s+)?)*/gm, `$&: ${randomUUID()}; `);
    await writeFile(file, change(edited));
    await execa("find", [clone, "-exec", "touch", "--no-dereference", `--date=${date}`, "{}", "+"]);
    const { stdout } = await execa("sed", [
      "--quiet",
      `s|^ARG \\(.*_IMAGE\\)=\\([^@]*\\).*|--build-arg=\\1=${registry}/\\2|p`,
      file,
    ]);
    const id = await docker(["build", "--quiet", "--network=host", ...stdout.split("\n"), "--file", file, clone]);
    onTestFinished(async () => {
      await docker(["image", "rm", "--force", id]); // --force, because both builds may make the same image
    });
    return { config: JSON.parse(await docker(["inspect", "--format={{json .Config}}", id])), files: await filesOf(id) };
  } finally {
    await rm(clone, { recursive: true });
  }
}

async function filesOf(image: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "berth-image-"));
  const container = await docker(["create", image]);
  try {
    const env = { DOCKER_HOST: dockerHost };
    const exported = execa("/usr/bin/docker", ["export", container], {
      env,
      encoding: "buffer",
      buffer: { stdout: false },
    });
    await exported.pipe("tar", ["--extract", "--numeric-owner", "--same-permissions", `--directory=${folder}`]);
    const list = "find . -printf '%p %M %U:%G %l\\n'; find . -type f -print0 | xargs --null sha256sum";
    const { stdout } = await execa("sh", ["-c", list], { cwd: folder, maxBuffer: 100_000_000 });
    return stdout.split("\n").sort();
  } finally {
    await docker(["rm", container]);
    await rm(folder, { recursive: true });
  }
}

test.each([
  ["api", 10_000],
  ["agent", 5_000],
  ["berthd", 0],
])("two builds of the image %s have the same config and the same files", async (image, files) => {
  const one = await build(image, "2024-02-03");
  // The second build uses the cached package lists, because Debian's mirrors may have new packages minutes later.
  const other = await build(image, "2025-06-07", (dockerfile) => dockerfile.replace("apt-get update -q && ", ""));
  expect(one.files.length).toBeGreaterThan(files);
  const same = new Set(one.files);
  expect(other.files.filter((file) => !same.has(file))).toEqual([]);
  expect(other).toEqual(one);
});
