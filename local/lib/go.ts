/** Builds programs from Go modules, once per version and machine. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { endingWithUs, isRunning, ownName } from "./process.ts";
import { stopSignal, UserError } from "./steps.ts";

const { binDir, cacheDir } = machine;

/** Patterns of the folders that `buildOnce` fills. The patterns are relative to the cache. */
const unfinishedFolders = ["bin", "pulumi-*", "pulumi-*/plugins"].map((folder) => `${folder}/*.unfinished-*`);

const dayMs = 86_400_000;

/**
 * Removes the folders that killed builds left in the cache. Also removes each unfinished folder that is older than a day, because
 * this process can't see whether a build in another pid namespace still runs.
 */
export function removeUnfinished(cache = cacheDir): void {
  for (const folder of globSync(unfinishedFolders, { cwd: cache }).map((found) => join(cache, found)))
    if (isRunning(builderOf(folder)) === false || statSync(folder).mtimeMs < Date.now() - dayMs)
      rmSync(folder, { recursive: true, force: true });
}

/** The name (`ownName`) of the process that fills an unfinished folder. */
const builderOf = (folder: string) => folder.replace(/.*\.unfinished-/, "");

/**
 * Calls `build` to fill `dir`, unless `dir` exists. `dir` appears only when it is complete: an interrupted build leaves only a
 * directory that `removeUnfinished` removes. While another process builds `dir`, the function waits for that build. If two
 * processes begin at the same moment, both build, and the result that is complete first is kept. Returns a text for the step's
 * line. The text is the result of `build` if this result is a string.
 */
export async function buildOnce(dir: string, build: (dir: string) => Promise<unknown>): Promise<string> {
  const isBuilt = () => globSync(`${dir}.unfinished-*`).some((folder) => isRunning(builderOf(folder)));
  while (!existsSync(dir) && isBuilt()) await sleep(250, undefined, { signal: stopSignal() });
  if (existsSync(dir)) return "there already";
  mkdirSync(dirname(dir), { recursive: true });
  using unfinished = mkdtempDisposableSync(`${dir}.unfinished-${ownName()}-`);
  const done = await build(unfinished.path);
  chmodSync(unfinished.path, 0o755);
  if (!existsSync(dir)) renameSync(unfinished.path, dir);
  return typeof done === "string" ? done : `built into ${dir}`;
}

export interface GoBuildOptions {
  /** Variables that the linker sets, for example main.version=1. Default: none. */
  settings?: string[];
  /** Build tags, separated by commas. Default: none. */
  tags?: string;
}

/**
 * The flags of every `go build` and `go test` of these modules. With other flags Go would not find the compiled packages in its
 * cache, and would compile all of Kubernetes again.
 */
export const goFlags = [
  "-trimpath",
  "-mod=readonly",
  // The compiler writes no debug data, because the linker would drop the data anyway.
  "-gcflags=all=-dwarf=false",
];

/**
 * The environment variables of every `go build` and `go test` of these modules. cgo is off, because the programs must need no C
 * library: some programs run in images that contain no other files.
 */
export const goEnvironment = { CGO_ENABLED: "0", GOFLAGS: "" };

/** The folder of compiled packages. They take gigabytes, and nobody needs them when the programs exist. */
const compiledPackages = join(cacheDir, "go-build");

/** Whether compiled packages exist and no build uses them. A build may belong to a command of another checkout. */
export const hasUnusedPackages = (): boolean =>
  existsSync(compiledPackages) && globSync(unfinishedFolders, { cwd: cacheDir }).length === 0;

/** Removes the compiled packages. No build may be running. */
export const dropCompiledPackages = (): Promise<void> => rm(compiledPackages, { recursive: true, force: true });

/**
 * Builds the programs of these packages and puts them into the folder `output`. `cwd` is the folder of the Go module.
 * @throws UserError with the last line of the compiler's output
 */
export const goBuild = (
  cwd: string,
  output: string,
  packages: string[],
  { settings = [], tags = "" }: GoBuildOptions = {},
): Promise<void> => {
  const ldflags = ["-s -w", ...settings.map((setting) => `-X ${setting}`)].join(" ");
  return compile(cwd, packages, [`-ldflags=${ldflags}`, `-tags=${tags}`, "-o", `${output}/`]);
};

/**
 * Compiles the part of Go's standard library that most programs need. Otherwise two builds that begin together would both compile
 * this part. `cwd` is the folder of a Go module.
 * @throws UserError with the last line of the compiler's output
 */
export const compileLibrary = (cwd: string): Promise<void> => compile(cwd, ["net/http"], []);

async function compile(cwd: string, packages: string[], options: string[]): Promise<void> {
  const env = { ...goEnvironment, GOCACHE: compiledPackages };
  const [program = "", ...args] = endingWithUs(["go", "build", ...goFlags, ...options, ...packages]);
  const result = await execa(program, args, {
    cwd,
    env,
    reject: false,
    all: true,
    cancelSignal: stopSignal(),
    // go handles SIGINT: it waits for its compilers, and removes its temporary files.
    killSignal: "SIGINT",
    forceKillAfterDelay: false,
  });
  stopSignal().throwIfAborted();
  if (!result.failed) return;
  const reason = (result.all || result.message || "").trim().split("\n").at(-1) ?? "";
  throw new UserError(`go could not build ${packages.join(" ")}: ${reason}${remedy(reason)}`);
}

/**
 * The program `name`, built once per version of its sources from the Go package `from`. The package is in the module in
 * `sources`, or in a required module. `ensure` builds the program unless it exists, and returns a text for the step's line. The
 * name of the folder of `file` contains the version.
 * @param files the sources that, with the required modules, decide the program's version. Default: the Go files directly in
 * `sources`
 */
export function goProgram(
  name: string,
  sources: string,
  { from, files = "*.go", ...options }: GoBuildOptions & { from: string; files?: string },
) {
  const dir = join(binDir, `${name}-${sourcesVersion(sources, files)}`);
  return { file: join(dir, name), ensure: () => buildOnce(dir, (to) => goBuild(sources, to, [from], options)) };
}

/** From Go 1.21 on, Go downloads the version of Go that the modules require. */
export const installGo = "Install Go 1.21 or newer";

/** Returns advice about a failed build, if the compiler's message shows the cause. Pure. */
export function remedy(reason: string): string {
  const known: [RegExp, string][] = [
    [
      /invalid go version|toolchain|ENOENT|failed to execute go/,
      `${installGo} (go version prints the installed version).`,
    ],
    [/no space left/, "Make room on the disk of ~/.cache/berth (BERTH_CACHE) and of /tmp."],
    [/dial |lookup |timeout|TLS|proxy|Forbidden/i, "Check that the Go module proxy can be reached (go env GOPROXY)."],
  ];
  const [, advice] = known.find(([pattern]) => pattern.test(reason)) ?? [];
  return advice === undefined ? "" : `\n${advice} Then run the command again.`;
}

/** Which version of `module` the go.mod in `dir` requires, for example v1.2.3. */
export function moduleVersion(dir: string, module: string): string {
  const line = readFileSync(join(dir, "go.mod"), "utf8").match(new RegExp(`^\\s*(?:require )?${module} (v\\S+)`, "m"));
  if (!line?.[1]) throw new Error(`${module} is not in ${dir}/go.mod`);
  return line[1];
}

/**
 * A hash of go.mod, go.sum and the files in `dir` that match the pattern, because these decide the binaries. Tests don't count.
 */
export function sourcesVersion(dir: string, pattern: string): string {
  const hash = createHash("sha256");
  const files = ["go.mod", "go.sum", ...globSync(pattern, { cwd: dir }).sort()].filter((f) => !f.endsWith("_test.go"));
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(dir, file)));
  return hash.digest("hex").slice(0, 12);
}
