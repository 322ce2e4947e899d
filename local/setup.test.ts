/** Checks the output and the actions of setup.sh before any installation. The test's `npm` only records who called it. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { expect, it, onTestFinished } from "vitest";
import { root } from "../machine/machine.ts";
import { onPath } from "./host/inspect.ts";
import { readProc } from "./lib/process.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** A checkout of the user `owner`, with only the files that setup.sh reads. `run` runs setup.sh as a script of package.json. */
function checkout(owner: number) {
  const dir = mkdtempSync(join(tmpdir(), "berth-setup-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const called = join(dir, "called");
  mkdirSync(join(dir, "local"));
  mkdirSync(join(dir, "bin"));
  copyFileSync(join(root, "local/setup.sh"), join(dir, "local/setup.sh"));
  writeFileSync(join(dir, "bin/npm"), `#!/bin/sh\nid -u >>${called}\nexit 1\n`, { mode: 0o755 });
  for (const path of [dir, join(dir, "local"), join(dir, "bin")]) {
    chmodSync(path, 0o755);
    if (isRoot) chownSync(path, owner, owner);
  }
  const run = (uid: number, script = "setup") =>
    execa("sh", ["-c", `exec ${scripts[script]}`], {
      cwd: dir,
      env: { PATH: `${join(dir, "bin")}:${process.env.PATH}`, npm_lifecycle_event: script },
      reject: false,
      ...(isRoot && { uid, gid: uid }),
    });
  return {
    run,
    bin: join(dir, "bin"),
    npmRanAs: () => (existsSync(called) ? readFileSync(called, "utf8").trim() : undefined),
  };
}

const user = isRoot ? nobody : (process.getuid?.() ?? 0);

const needRoot = ["up", "down", "test", "test:proofs", "test:shapes", "bench"];

it.each(needRoot)(
  "npm run %s tells another user than root, before anything is installed, why root is needed",
  async (name) => {
    const { run, npmRanAs } = checkout(user);
    const { exitCode, stderr } = await run(user, name);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("namespaces, mounts and containers, which only root may: run the command as root (sudo");
    expect(stderr).toContain(`npm run ${name})`);
    expect(npmRanAs()).toBeUndefined();
  },
);

const others = Object.keys(scripts).filter((name) => scripts[name]?.includes("setup.sh") && !needRoot.includes(name));

it.each(others)("npm run %s goes on for any user", async (name) => {
  const { run, npmRanAs } = checkout(user);
  expect((await run(user, name)).stderr).toContain("npm could not install the packages. Check that");
  expect(npmRanAs()).toBe(String(user));
});

it("says each 30 s that npm is at work, and no longer", async () => {
  const { run, bin } = checkout(user);
  // The fourth pause begins after the third line, and then npm ends. `run` returns when nobody can print any more.
  const pauses = join(bin, "pauses");
  writeFileSync(join(bin, "sleep"), `#!/bin/sh\necho >>${pauses}; exec /bin/sleep 0.1\n`, { mode: 0o755 });
  const wait = `until [ "$(cat ${pauses} 2>/dev/null | wc -l)" -ge 4 ]; do /bin/sleep 0.05; done`;
  writeFileSync(join(bin, "npm"), `#!/bin/sh\n${wait}; exit 1\n`, { mode: 0o755 });
  const { stdout } = await run(user);
  expect(stdout).toMatch(/^npm packages: npm ci.*(\n {2}… npm packages){3,}$/);
});

it.for([
  { who: "the user", uid: nobody },
  { who: "the user without a name", uid: 54_321 },
])("installs as $who whose checkout it is, in a home of that user, when root runs it", async ({ uid }, { skip }) => {
  skip(!isRoot, "only root can run it for another user");
  const { run, bin, npmRanAs } = checkout(uid);
  writeFileSync(join(bin, "npm"), `#!/bin/sh\necho $(id -u) $(stat -c %u "$HOME") >>${bin}/../called\n`, {
    mode: 0o755,
  });
  await run(0, "up");
  expect(npmRanAs()).toMatch(new RegExp(`^${uid} ${uid}$`, "m"));
});

it.for([
  { who: "a user", uid: user },
  { who: "root, for a user", uid: 0 },
])("npm ends with the command of $who, even if the command is killed", async ({ uid }, { skip }) => {
  skip(!onPath("setpriv"), "only Linux ends a process when its parent ends");
  skip(uid === 0 && !isRoot, "only root can run it for another user");
  const { run, bin, npmRanAs } = checkout(user);
  writeFileSync(join(bin, "npm"), `#!/bin/sh\necho $$ >>${bin}/../called\nexec sleep 60\n`, { mode: 0o755 });
  const command = run(uid);
  const runs = () => readProc(Number(npmRanAs()), "cmdline")[0] === "sleep";
  await until("npm runs", 10, runs);
  command.kill("SIGKILL");
  await until("npm has ended", 10, () => !runs());
});
