import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { root } from "../../machine/machine.ts";
import { compileLibrary, goBuild, remedy, removeUnfinished } from "./go.ts";
import { stoppable } from "./steps.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-go-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Puts a program in place of the compiler. */
function compiler(script: string): void {
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/go"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
}

test("a failure is reported in the compiler's words, and a remedy only where they tell one", async () => {
  compiler("echo '# one'; echo 'main.go:3: undefined: x'; exit 1");
  await expect(goBuild(folder, folder, ["./one"])).rejects.toThrow(
    /^go could not build .\/one: main.go:3: undefined: x$/,
  );
});

test("where there is no Go, the error says what to install", async () => {
  vi.stubEnv("PATH", "/usr/bin:/bin");
  await expect(goBuild(folder, folder, ["./one"])).rejects.toThrow(/Install Go 1\.21 or newer/);
});

test.each([
  ["go.mod:3: invalid go version '1.26': must match format 1.23", /Install Go/],
  ["write /tmp/go-build1: no space left on device", /Make room/],
  ['Get "https://modules.example/x": dial tcp: lookup modules.example: no such host', /GOPROXY/],
  ["main.go:3: undefined: x", /^$/],
])("%s", (reason, expected) => {
  expect(remedy(reason)).toMatch(expected);
});

test("a build ends with the process that has started it, and the next one takes away what it left", async () => {
  const [cache, told] = [join(folder, "cache"), join(folder, "told")];
  compiler(`trap "echo interrupted >${told}; exit" INT; echo $$ >${told}; while :; do sleep 0.1; done`);
  const script = `
    const { buildOnce, goBuild } = await import("./local/lib/go.ts");
    await buildOnce("${cache}/bin/one", (dir) => goBuild("${folder}", dir, ["./one"]));`;
  const up = execa("node", ["--input-type=module", "--eval", script], { cwd: root, reject: false });
  await until("the compiler runs", 20, () => existsSync(told));
  removeUnfinished(cache);
  expect(readdirSync(join(cache, "bin"))).toEqual([expect.stringMatching(/^one.unfinished-/)]);
  up.kill("SIGKILL");
  await up;
  await until("the compiler has ended", 10, () => readFileSync(told, "utf8") === "interrupted\n");
  removeUnfinished(cache);
  expect(readdirSync(join(cache, "bin"))).toEqual([]);
});

test("while one process builds a program, another one waits for it", async () => {
  const [cache, runs] = [join(folder, "cache"), join(folder, "runs")];
  compiler(`echo run >>${runs}; while [ ! -e ${folder}/go-on ]; do sleep 0.1; done; mkdir -p ${folder}/made`);
  const script = `
    const { buildOnce, goBuild } = await import("./local/lib/go.ts");
    console.log("begins");
    console.log(await buildOnce("${cache}/bin/one", (dir) => goBuild("${folder}", dir, ["./one"])));`;
  const builds = () => execa("node", ["--input-type=module", "--eval", script], { cwd: root });
  const first = builds();
  await until("the first compiler runs", 20, () => existsSync(runs));
  const second = builds();
  await until("the second process begins", 20, () => new Promise((resolve) => second.stdout.once("data", resolve)));
  writeFileSync(join(folder, "go-on"), "");
  expect((await first).stdout).toContain("built into");
  expect((await second).stdout).toBe("begins\nthere already");
  expect(readFileSync(runs, "utf8")).toBe("run\n");
});

test("the standard library is compiled as the programs need it", async () => {
  const runs = join(folder, "runs");
  compiler(`for flag; do case $flag in -gcflags=*) printf '%s ' "$flag" >>${runs};; esac; done; echo >>${runs}`);
  await compileLibrary(folder);
  await goBuild(folder, folder, ["./one"]);
  const [library, program] = readFileSync(runs, "utf8").split("\n");
  expect(library).toContain("-gcflags=all=");
  expect(program).toBe(library);
});

test("what a build in another namespace of processes has begun stays for a day", () => {
  const unfinished = join(folder, "bin", "one.unfinished-1-1-1-abcdef");
  mkdirSync(unfinished, { recursive: true });
  removeUnfinished(folder);
  expect(existsSync(unfinished)).toBe(true);
  const before = Date.now() / 1000 - 25 * 3600;
  utimesSync(unfinished, before, before);
  removeUnfinished(folder);
  expect(existsSync(unfinished)).toBe(false);
});

test("compiled packages are removed, unless a build may still use them", async () => {
  const packages = join(folder, "go-build");
  const unfinished = join(folder, "bin", "one.unfinished-1-1-1-abcdef");
  for (const dir of [packages, unfinished]) mkdirSync(dir, { recursive: true });
  vi.stubEnv("BERTH_CACHE", folder);
  vi.resetModules();
  const { dropCompiledPackages, hasUnusedPackages } = await import("./go.ts");
  expect(hasUnusedPackages()).toBe(false);
  rmSync(unfinished, { recursive: true });
  expect(hasUnusedPackages()).toBe(true);
  await dropCompiledPackages();
  expect(existsSync(packages)).toBe(false);
  expect(hasUnusedPackages()).toBe(false);
});

test("a build that is to stop gets SIGINT, which go handles, and its end is not the reason that is reported", async () => {
  const told = join(folder, "told");
  compiler(`trap "echo interrupted >${told}; exit" INT; echo $$ >${told}; while :; do sleep 0.1; done`);
  const stop = new AbortController();
  const build = stoppable(stop.signal, () => goBuild(folder, folder, ["./one"]));
  await until("the compiler runs", 20, () => existsSync(told));
  stop.abort(new Error("told to stop"));
  await expect(build).rejects.toThrow("told to stop");
  expect(readFileSync(told, "utf8")).toBe("interrupted\n");
});
