/** The cache of programs and images. `npm run down -- --purge` keeps the cache, unless the command also has `--cache`. */
import { existsSync, globSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { machine } from "../../machine/machine.ts";
import { step, UserError } from "../lib/steps.ts";

const { cacheDir } = machine;

/**
 * Removes the cache.
 * @throws UserError if the folder also contains other files, because then its `bin` or `images` may belong to somebody else
 */
export async function purgeCache(): Promise<void> {
  await step(`Remove the cache ${cacheDir}`, async () => {
    if (!existsSync(cacheDir)) return;
    const ours = globSync(["bin", "images", "go-build", "pulumi-*"], { cwd: cacheDir });
    const others = readdirSync(cacheDir).filter((name) => !ours.includes(name));
    if (others.length > 0)
      throw new UserError(
        `${cacheDir} holds more than Berth's cache (${others.join(", ")}), so it is left as it is. Remove ${ours.join(", ")} by hand if they are Berth's.`,
      );
    await rm(cacheDir, { recursive: true });
  });
}
