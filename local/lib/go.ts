/** Builds programs from Go modules, once per version and machine. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { endingWithUs, isGone, ownName } from "./process.ts";
import { stopSignal, UserError } from "./steps.ts";

const { cacheDir } = machine;

/** The folders below the cache in which `buildOnce` is called. */
const unfinishedFolders = ["bin", "pulumi-*", "pulumi-*/plugins"].map((folder) => `${folder}/*.unfinished-*`);

const dayMs = 86_400_000;

/** Removes what builds that were killed have left in the cache; where the process that built can't be looked for, a day later. */
export function removeUnfinished(cache = cacheDir): void {
  for (const folder of globSync(unfinishedFolders, { cwd: cache }).map((found) => join(cache, found)))
    if (isGone(folder.replace(/.*\.unfinished-/, "")) || statSync(folder).mtimeMs < Date.now() - dayMs)
      rmSync(folder, { recursive: true, force: true });
}

/**
 * Fills `dir` by `build` unless it is there. Whole or not at all: an interrupted build leaves only a directory that
 * `removeUnfinished` takes away, and of two at the same time one is kept. Returns what it did, for the step's line: what `build` returns, if that
 * is a string.
 */
export async function buildOnce(dir: string, build: (dir: string) => Promise<unknown>): Promise<string> {
  if (existsSync(dir)) return "there already";
  mkdirSync(dirname(dir), { recursive: true });
  const unfinished = mkdtempSync(`${dir}.unfinished-${ownName()}-`);
  try {
    const done = await build(unfinished);
    chmodSync(unfinished, 0o755);
    if (!existsSync(dir)) renameSync(unfinished, dir);
    return typeof done === "string" ? done : `built into ${dir}`;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

export interface GoBuildOptions {
  /** Variables that the linker sets, for example main.version=1. Default none. */
  settings?: string[];
  /** Build tags, with commas. Default none. */
  tags?: string;
}

/**
 * What every `go build` and `go test` of these modules has in common. It decides which compiled packages Go finds in its
 * cache: with other flags, all of Kubernetes would be compiled again.
 */
export const goFlags = [
  "-trimpath",
  "-mod=readonly",
  // The linker would drop what debuggers read anyway.
  "-gcflags=all=-dwarf=false",
];

/** The environment that belongs to them. Without cgo, because the programs also run in images that hold nothing else. */
export const goEnvironment = { CGO_ENABLED: "0", GOFLAGS: "" };

/** Compiled packages: gigabytes, of no use once the programs are there. */
const compiled = join(cacheDir, "go-build");

export const hasCompiledPackages = (): boolean => existsSync(compiled);

/** Removes the compiled packages; nothing may be building. */
export const dropCompiledPackages = (): Promise<void> => rm(compiled, { recursive: true, force: true });

/**
 * Builds packages of the module in `cwd` into `output`.
 * @throws UserError with what the compiler said last
 */
export async function goBuild(
  cwd: string,
  output: string,
  packages: string[],
  { settings = [], tags = "" }: GoBuildOptions = {},
): Promise<void> {
  const ldflags = ["-s -w", ...settings.map((setting) => `-X ${setting}`)].join(" ");
  const args = ["build", ...goFlags, `-ldflags=${ldflags}`, `-tags=${tags}`, "-o", `${output}/`, ...packages];
  const env = { ...goEnvironment, GOCACHE: compiled };
  const [program = "", ...rest] = endingWithUs(["go", ...args]);
  const result = await execa(program, rest, { cwd, env, reject: false, all: true, cancelSignal: stopSignal() });
  stopSignal().throwIfAborted();
  if (!result.failed) return;
  const reason = (result.all || result.message || "").trim().split("\n").at(-1) ?? "";
  throw new UserError(`go could not build ${packages.join(" ")}: ${reason}${remedy(reason)}`);
}

/** From this version on, Go fetches the one that the modules ask for. */
export const installGo = "Install Go 1.21 or newer";

/** What to do about a failed build, where the compiler's words tell; pure. */
export function remedy(reason: string): string {
  const known: [RegExp, string][] = [
    [/invalid go version|toolchain|ENOENT|failed to execute go/, `${installGo} (go version says which is there).`],
    [/no space left/, "Make room on the disk of ~/.cache/berth (BERTH_CACHE) and of /tmp."],
    [/dial |lookup |timeout|TLS|proxy|Forbidden/i, "Check that the Go module proxy can be reached (go env GOPROXY)."],
  ];
  const [, advice] = known.find(([pattern]) => pattern.test(reason)) ?? [];
  return advice === undefined ? "" : `\n${advice} Then run the command again.`;
}

/** The version at which the module in `dir` pins another, for example v1.2.3. */
export function moduleVersion(dir: string, module: string): string {
  const line = readFileSync(join(dir, "go.mod"), "utf8").match(new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, "m"));
  if (!line?.[1]) throw new Error(`${module} is not in ${dir}/go.mod`);
  return line[1];
}

/** Names the sources and the pinned modules in `dir`: what decides the binaries. */
export function sourcesVersion(dir: string, pattern: string): string {
  const hash = createHash("sha256");
  const files = ["go.mod", "go.sum", ...globSync(pattern, { cwd: dir }).sort()].filter((f) => !f.endsWith("_test.go"));
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(dir, file)));
  return hash.digest("hex").slice(0, 12);
}
