import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let folder: string;
let cache: string;
let purgeCache: () => Promise<void>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-cache-"));
  cache = join(folder, "cache");
  for (const name of ["bin/cluster-1", "images/blobs", "go-build/00", "pulumi-3.1.0/bin"])
    mkdirSync(join(cache, name), { recursive: true });
  vi.stubEnv("BERTH_CACHE", cache);
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.resetModules();
  ({ purgeCache } = await import("./cache.ts"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  return rm(folder, { recursive: true });
});

test("all of the cache goes, whether it is there or not", async () => {
  await purgeCache();
  expect(existsSync(cache)).toBe(false);
  await purgeCache();
});

test("a folder that somebody else uses too stays as it is, because the names may be theirs", async () => {
  writeFileSync(join(cache, "theirs"), "");
  await expect(purgeCache()).rejects.toThrow(/more than Berth's cache \(theirs\).*by hand/);
  expect(readdirSync(cache).sort()).toEqual(["bin", "go-build", "images", "pulumi-3.1.0", "theirs"]);
});
