/** Pulumi's CLI, language host and plugins, in the versions of infra/package.json. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { filesOnPath } from "../host/inspect.ts";
import { linkIfChanged } from "../lib/files.ts";
import { buildOnce } from "../lib/go.ts";
import { architecture, type Download, type Published, takeOnce } from "../lib/obtain.ts";
import { UserError } from "../lib/steps.ts";

const { cacheDir } = machine;

/** A plugin's folder in a PULUMI_HOME, for example `plugins/resource-random-v4.21.1`. */
export interface PluginFolder {
  name: string;
  version: string;
  folder: string;
}

/** Pulumi's programs must have the same versions as the SDKs, so the SDKs' versions decide. */
const { dependencies } = JSON.parse(readFileSync(join(root, "infra", "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};
const versionOf = (name: string) => dependencies[`@pulumi/${name}`] ?? fail(`infra/package.json lacks @pulumi/${name}`);
const fail = (message: string): never => {
  throw new Error(message);
};

/** The version of the CLI and of the SDK. */
export const version = versionOf("pulumi");
export const plugins: PluginFolder[] = ["kubernetes", "random", "docker"].map((name) => {
  const version = versionOf(name);
  return { name, version, folder: join("plugins", `resource-${name}-v${version}`) };
});

/**
 * The folder of the CLI and of the official plugins. All checkouts share it. It is separate from the user's ~/.pulumi.
 */
export const pulumiRoot = join(cacheDir, `pulumi-${version}`);
/** The folder of the program `pulumi`. */
export const pulumiBin = join(pulumiRoot, "bin");

/**
 * The folder of the stand-in plugins. Each checkout has its own folder, because stand-ins run from the checkout. The folder is in
 * the cache, because a user's checkout must not contain files of root.
 */
const standInsHome = join(
  cacheDir,
  `pulumi-${version}-${createHash("sha256").update(root).digest("hex").slice(0, 12)}`,
);

/**
 * The value of PULUMI_HOME: the folder of the official plugins if it has all of them, else the folder of the stand-ins. The
 * folder exists after `ensurePulumi` has run.
 */
export const pulumiHome = (): string =>
  plugins.every(({ folder }) => existsSync(join(pulumiRoot, folder))) ? pulumiRoot : standInsHome;

/** The download that contains the CLI and the language host for Node. */
const cli: Published = {
  ...release("pulumi", `pulumi-v${version}-linux-${architecture.replace("amd64", "x64")}.tar.gz`, version),
  strip: 1,
  installed: installedCli,
};

const plugin = ({ name, version, folder }: PluginFolder): Published => ({
  ...release(`pulumi-${name}`, `pulumi-resource-${name}-v${version}-linux-${architecture}.tar.gz`, version),
  installed: async () => installedPlugin(folder, `pulumi-resource-${name}`),
});

function release(repository: string, file: string, version: string): Download {
  return { path: file, url: `https://github.com/pulumi/${repository}/releases/download/v${version}/${file}` };
}

/**
 * Copies the parts of Pulumi that are installed on this machine, and downloads the others from a mirror or from Pulumi's
 * releases. If a plugin can't be obtained, Berth's own stand-in for it (docs/air-gapped.md) is used. An interruption does no
 * harm. Returns a text for the step's line.
 * @throws UserError when a file has a wrong checksum
 */
export async function obtainPulumi(): Promise<string> {
  const done = [await takeOnce(pulumiBin, [cli])];
  for (const each of plugins) done.push(await takeOnce(join(pulumiRoot, each.folder), [plugin(each)]));
  const made = new Set(done.filter((each) => typeof each === "string"));
  const line = [version, [...made].join(" and ")].filter(Boolean).join(", ");
  withoutLogs(pulumiHome());
  if (pulumiHome() === pulumiRoot) return line;
  needAirGapped("one of Pulumi's plugins");
  const { layStandIns } = await import("../air-gapped/stand-ins.ts");
  const names = layStandIns(standInsHome, pulumiRoot, plugins);
  return `${line}; Berth's stand-ins serve for the plugins ${names.join(", ")}, which can't be downloaded (docs/air-gapped.md)`;
}

/**
 * Puts a link to /dev/null where Pulumi would make the folder `logs`, in which Pulumi keeps a detailed log of each command. The
 * log took a third of the CLI's time, and 4 MB for each `up`. Pulumi has no setting for this. Where Pulumi can't make the folder,
 * Pulumi works without the log, and `pulumi logs` shows none.
 */
export const withoutLogs = (home: string): void => linkIfChanged(join(home, "logs"), "/dev/null");

/** Whether the CLI exists. */
export const hasCli = (): boolean => existsSync(pulumiBin);

/** The folder of a language host that Berth has built. Any other language host is in the folder of the CLI. */
export const languageHostDir = join(pulumiRoot, "language-host");

/** Whether the CLI exists, but its language host is missing. Without the CLI, nothing needs the language host. */
export const lacksLanguageHost = (): boolean =>
  hasCli() && ![pulumiBin, languageHostDir].some((dir) => existsSync(join(dir, "pulumi-language-nodejs")));

/**
 * Builds Pulumi's language host for Node.js unless it exists. The build takes half a minute. `npm run up` needs no language host,
 * but a `pulumi up` that a user runs by hand needs one. Returns a text for the step's line.
 */
export async function ensureLanguageHost(): Promise<string> {
  if (!lacksLanguageHost()) return "there already";
  needAirGapped("Pulumi's language host");
  const { buildLanguageHost } = await import("../air-gapped/pulumi.ts");
  return buildOnce(languageHostDir, buildLanguageHost);
}

/** Builds the CLI from its Go modules, unless it exists. The build takes about four minutes on two cores. */
export async function buildCli(): Promise<string> {
  needAirGapped("Pulumi's CLI");
  const { buildPulumi } = await import("../air-gapped/pulumi.ts");
  return buildOnce(pulumiBin, buildPulumi);
}

/**
 * Throws a UserError if the checkout lacks local/air-gapped. The code in this folder makes what can't be downloaded. This code is
 * imported only when it is needed, because a checkout may lack the folder.
 */
function needAirGapped(what: string): void {
  if (!existsSync(join(root, "local", "air-gapped")))
    throw new UserError(
      `${what} can't be downloaded, and this checkout lacks local/air-gapped, which could replace it: ` +
        "name a mirror in BERTH_MIRROR (docs/air-gapped.md).",
    );
}

/** Obtains or builds all of Pulumi, for tests and commands that use Pulumi without `npm run up`. */
export async function ensurePulumi(): Promise<string> {
  const line = await obtainPulumi();
  const made = hasCli() ? line : `${line}; the CLI is ${await buildCli()}`;
  await ensureLanguageHost();
  return made;
}

/**
 * The files of the CLI on PATH and of the programs that the CLI needs for Node; undefined unless the CLI has the right
 * version.
 */
async function installedCli(): Promise<string[] | undefined> {
  const needed = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];
  for (const program of filesOnPath("pulumi")) {
    const home = dirname(realpathSync(program));
    const files = needed.map((name) => join(home, name));
    if (!files.every(existsSync)) continue;
    const { stdout } = await execa(join(home, "pulumi"), ["version"], { reject: false });
    if (stdout.trim() === `v${version}`) return files;
  }
  return undefined;
}

/** Returns the plugin's file in the user's own PULUMI_HOME; undefined if the plugin is missing or is a stand-in. */
function installedPlugin(folder: string, program: string): string[] | undefined {
  const file = join(process.env.PULUMI_HOME ?? join(homedir(), ".pulumi"), folder, program);
  return existsSync(file) && !isStandIn(file) ? [file] : undefined;
}

/** Whether the program is the launcher of a stand-in of any checkout. A launcher has a few lines; a plugin has megabytes. */
export const isStandIn = (program: string): boolean => statSync(program).size < 4096;
