/** Names what a run of tests has tested, so that an interrupted command goes on only over the same code. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "./run.ts";

/** The commit's short name; with uncommitted changes, new files among them, also a short sum of those. */
export async function checkoutState(): Promise<string> {
  const git = async (...args: string[]) => (await execa("git", args, { cwd: root })).stdout;
  const commit = await git("rev-parse", "--short=10", "HEAD");
  const added = (await git("ls-files", "--others", "--exclude-standard")).split("\n").filter(Boolean);
  const changes = (await git("diff", "HEAD")) + (added.length > 0 ? await git("hash-object", ...added) : "");
  return changes === "" ? commit : `${commit}+${createHash("sha256").update(changes).digest("hex").slice(0, 6)}`;
}

/** Where commands keep what they have done, for when they are interrupted. */
export const stateDir = join(root, "node_modules", ".cache", "berth");
