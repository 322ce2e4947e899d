/** Copies of the checkout, for tests that deploy another version of the program. */
import { existsSync } from "node:fs";
import { mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "../machine/machine.ts";

/**
 * Returns a folder with a copy of this checkout. The caller may change the copy, and must delete the folder. The copy uses the
 * installed packages of this checkout by a link, so the caller must not change the packages.
 */
export async function copyOfCheckout(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-checkout-"));
  const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const files = stdout.split("\n").filter((file) => existsSync(join(root, file)));
  await execa("cp", ["--preserve=mode", "--parents", ...files, folder], { cwd: root });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}
