/** The cache of programs and images, which `npm run down -- --purge` keeps. */
import { existsSync, globSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { machine } from "../../machine/machine.ts";
import { step, UserError } from "../lib/steps.ts";

const { cacheDir } = machine;

/**
 * Removes the cache.
 * @throws UserError if the folder also holds other files, because its `bin` or `images` may then not be Berth's
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
