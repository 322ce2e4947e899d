/**
 * Identifies the code that a test run has tested, so that an interrupted command resumes only if the code is still the same.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "../machine/machine.ts";

/** Returns the commit's short hash. If files are changed or added, a short hash of the changes follows. */
export async function checkoutState(): Promise<string> {
  const git = async (...args: string[]) => (await execa("git", args, { cwd: root })).stdout;
  const commit = await git("rev-parse", "--short=10", "HEAD");
  const added = (await git("ls-files", "--others", "--exclude-standard")).split("\n").filter(Boolean);
  const changes = (await git("diff", "HEAD")) + (added.length > 0 ? await git("hash-object", ...added) : "");
  return changes === "" ? commit : `${commit}+${createHash("sha256").update(changes).digest("hex").slice(0, 6)}`;
}

/** The folder in which commands save their progress, so that they can resume after an interruption. */
export const stateDir = join(root, "node_modules", ".cache", "berth");
