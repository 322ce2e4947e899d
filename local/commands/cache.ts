/** The cache of programs and images, which outlives `npm run down -- --purge`. */
import { existsSync, globSync, rmdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir } from "../lib/paths.ts";
import { step } from "../lib/steps.ts";

/** Removes what Berth has put into its cache, and the folder unless somebody else uses it. */
export async function purgeCache(): Promise<void> {
  await step(`Remove the cache ${cacheDir}`, async () => {
    const ours = globSync(["bin", "images", "go-build", "pulumi-*"], { cwd: cacheDir });
    for (const name of ours) await rm(join(cacheDir, name), { recursive: true, force: true });
    if (existsSync(cacheDir) && globSync("*", { cwd: cacheDir }).length === 0) rmdirSync(cacheDir);
  });
}
