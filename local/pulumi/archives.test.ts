import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cliArchive, obtain, parseSums, pluginArchive } from "./archives.ts";

let mirror: string;

beforeEach(() => {
  mirror = mkdtempSync(join(tmpdir(), "berth-mirror-"));
  vi.stubEnv("BERTH_MIRROR", mirror);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(mirror, { recursive: true });
});

test("the archives are named and found as on the official site", () => {
  expect(cliArchive("3.258.0", "x64")).toMatchObject({
    file: "pulumi-v3.258.0-linux-x64.tar.gz",
    url: "https://get.pulumi.com/releases/sdk/pulumi-v3.258.0-linux-x64.tar.gz",
  });
  expect(pluginArchive("random", "4.21.1", "arm64")).toMatchObject({
    file: "pulumi-resource-random-v4.21.1-linux-arm64.tar.gz",
    url: "https://get.pulumi.com/releases/plugins/pulumi-resource-random-v4.21.1-linux-arm64.tar.gz",
  });
});

test("lists of sums are read whether binary files are marked or not", () => {
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  expect(parseSums(`${a}  one.tar.gz\n${b} *two.tar.gz\nnonsense\n`)).toEqual(
    new Map([
      ["one.tar.gz", a],
      ["two.tar.gz", b],
    ]),
  );
});

test("a file of a mirror that isn't what it should be is refused", async () => {
  const archive = cliArchive("3.258.0", "x64");
  writeFileSync(join(mirror, archive.file), "something else");
  await expect(obtain(archive, join(mirror, "target"))).rejects.toThrow(/has the SHA-256 .* but should have/);
});

test("a mirror that the user names vouches for its own builds", async () => {
  const archive = cliArchive("3.258.0", "x64");
  const content = "an own build";
  writeFileSync(join(mirror, archive.file), content);
  const sum = createHash("sha256").update(content).digest("hex");
  writeFileSync(join(mirror, "SHA256SUMS"), `${sum}  ${archive.file}\n`);
  expect(await obtain(archive, join(mirror, "target"))).toBe(join(mirror, archive.file));
});

test("where a file can't be had, the error says what to do", async () => {
  const nowhere = { file: "x.tar.gz", url: "http://127.0.0.1:9/x.tar.gz", checksumsUrl: "http://127.0.0.1:9/sums" };
  await expect(obtain(nowhere, join(mirror, "target"))).rejects.toThrow(/Connect this machine.*BERTH_MIRROR/);
});

test("without BERTH_MIRROR no folder is taken for a mirror", async () => {
  vi.stubEnv("BERTH_MIRROR", "");
  const nowhere = { file: "x.tar.gz", url: "http://127.0.0.1:9/x.tar.gz", checksumsUrl: "http://127.0.0.1:9/sums" };
  await expect(obtain(nowhere, join(mirror, "target"))).rejects.toThrow(/BERTH_MIRROR names no mirror/);
});
