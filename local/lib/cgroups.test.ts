import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inCgroup } from "./cgroups.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cgroups-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Runs a command in the group, with these files in place of the kernel's. Returns the files of the group. */
async function joined(files: Record<string, string>): Promise<Record<string, string>> {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  const [program = "", ...args] = inCgroup("group", ["echo", "two words"], { root });
  expect((await execa(program, args)).stdout).toBe("two words");
  const made = globSync("**/group/**/*.*", { cwd: root });
  return Object.fromEntries(made.map((name) => [name, readFileSync(join(root, name), "utf8").trim()]));
}

test("with version 1 a command joins every hierarchy, systemd's and that of version 2 too", async () => {
  const hierarchies = ["cpuset/cgroup.procs", "systemd/cgroup.procs", "unified/cgroup.procs"];
  const files = { ...Object.fromEntries(hierarchies.map((name) => [name, ""])), "cpuset/cpuset.cpus": "0-1\n" };
  expect(await joined(files)).toEqual({
    "cpuset/group/cgroup.procs": "0",
    "cpuset/group/cpuset.cpus": "0-1",
    "systemd/group/cgroup.procs": "0",
    "unified/group/cgroup.procs": "0",
  });
});

test("with version 2 it joins a leaf, as a group with others in it has no processes", async () => {
  expect(await joined({ "cgroup.procs": "", "system.slice/cgroup.procs": "" })).toEqual({
    "group/daemons/cgroup.procs": "0",
  });
});
