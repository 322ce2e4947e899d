/**
 * The previous version, from which the upgrade proof starts. infra/testdata/upgrade-from.golden.json contains its commit.
 */
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { baseImages } from "../local/images/list.ts";
import { isInRegistry, nameAlso, repositoryOf } from "../local/images/registry.ts";
import { root } from "../machine/machine.ts";
import type { StackFile } from "./pulumi.ts";

const { commit } = JSON.parse(readFileSync(join(root, "infra", "testdata", "upgrade-from.golden.json"), "utf8")) as {
  commit: string;
};

/** A fixed path outside the checkout, so that the worktree of an interrupted run is found and removed. */
const folder = join(tmpdir(), `berth-${commit.slice(0, 12)}`);

const git = (...args: string[]) => execa("git", args, { cwd: root });

/** @throws Error that says what to do, if the clone's history does not contain the commit */
export async function checkHistory(clone = root): Promise<void> {
  const { failed } = await execa("git", ["cat-file", "-e", `${commit}^{commit}`], { cwd: clone, reject: false });
  if (failed)
    throw new Error(
      `This clone has no commit ${commit}, from which the proof upgrades: run \`git fetch --unshallow origin\`, then the proof again.`,
    );
}

/**
 * Creates a worktree of the previous version with its npm packages, and returns the worktree's folder. If the local registry
 * lacks a base image under the name that the previous version uses, the current version's base image gets that name too.
 */
export async function versionBefore(): Promise<string> {
  await checkHistory();
  await removeVersionBefore();
  await git("worktree", "add", "--detach", folder, commit);
  await execa("sh", ["local/setup.sh"], { cwd: folder });
  for (const { tag } of baseImages) {
    for (const before of await namesBefore(repositoryOf(tag)))
      if (!(await isInRegistry(before))) await nameAlso(tag, before);
  }
  return folder;
}

/** Whether the previous version has the migration, for example `0008_tasks_of_ended`. */
export async function hadMigration(name: string): Promise<boolean> {
  const { stdout } = await git("ls-tree", "-r", "--name-only", commit);
  return stdout.includes(`/${name}.ts`);
}

/** Removes the worktree, if there is one. */
export async function removeVersionBefore(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  await git("worktree", "prune");
}

/** The names with tags that the previous version's stack uses for images of the repository. */
async function namesBefore(repository: string): Promise<string[]> {
  const pattern = `${repository.replaceAll(".", "\\.")}:[A-Za-z0-9._-]+`;
  const { stdout } = await execa("git", ["grep", "-hoE", pattern, commit, "--", "infra"], { cwd: root, reject: false });
  return [...new Set(stdout.split("\n").filter(Boolean))];
}

/** Returns the previous version's config of the stack `dev`, with the current addresses of this machine. */
export function configBefore({ config: now }: StackFile): StackFile["config"] {
  const { config } = parse(readFileSync(join(folder, "Pulumi.dev.yaml"), "utf8")) as StackFile;
  const places = ["context", "registry", "baseRegistry", "publicUrl", "buildNetwork"].map((key) => `berth:${key}`);
  return { ...config, ...Object.fromEntries(places.map((key) => [key, now[key]])) };
}
