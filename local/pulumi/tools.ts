/** Pulumi's command line, language host and plugins, in the versions of infra/package.json. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { buildOnce } from "../lib/go.ts";
import { architecture, type Download, mirror, obtainPacked, Unobtainable } from "../lib/obtain.ts";
import { UserError } from "../lib/steps.ts";

const { cacheDir } = machine;

/** A plugin's folder in a PULUMI_HOME, for example `plugins/resource-random-v4.21.1`. */
export interface PluginFolder {
  name: string;
  version: string;
  folder: string;
}

/** The SDKs and the programs beside them must be of one version, so the SDKs' versions decide. */
const { dependencies } = JSON.parse(readFileSync(join(root, "infra", "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};
const versionOf = (name: string) => dependencies[`@pulumi/${name}`] ?? fail(`infra/package.json lacks @pulumi/${name}`);
const fail = (message: string): never => {
  throw new Error(message);
};

/** Of the command line and of the SDK. */
export const version = versionOf("pulumi");
export const plugins: PluginFolder[] = ["kubernetes", "random", "docker"].map((name) => {
  const version = versionOf(name);
  return { name, version, folder: join("plugins", `resource-${name}-v${version}`) };
});

/** The command line, and the official plugins: shared by all checkouts, and apart from the user's ~/.pulumi. */
export const pulumiRoot = join(cacheDir, `pulumi-${version}`);
/** The folder of `pulumi`. */
export const pulumiBin = join(pulumiRoot, "bin");

/** Stand-ins run from the checkout, so each has its own; in the cache, because a checkout of a user's gets no files of root's. */
const standInsHome = join(
  cacheDir,
  `pulumi-${version}-${createHash("sha256").update(root).digest("hex").slice(0, 12)}`,
);

/** PULUMI_HOME: where the plugins are. The official ones, if all of them are there; there once `ensurePulumi` has run. */
export const pulumiHome = (): string =>
  plugins.every(({ folder }) => existsSync(join(pulumiRoot, folder))) ? pulumiRoot : standInsHome;

/** What the CLI needs beside it for programs in Node. */
const programs = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

/** The command line, which brings the language host for Node. */
const cli: Download = release(
  "pulumi",
  `pulumi-v${version}-linux-${architecture.replace("amd64", "x64")}.tar.gz`,
  version,
);
const plugin = ({ name, version }: PluginFolder): Download =>
  release(`pulumi-${name}`, `pulumi-resource-${name}-v${version}-linux-${architecture}.tar.gz`, version);

function release(repository: string, file: string, version: string): Download {
  return { path: file, url: `https://github.com/pulumi/${repository}/releases/download/v${version}/${file}` };
}

/**
 * Takes of Pulumi what is installed on this machine, and of the rest what a mirror or Pulumi's releases have. Stand-ins take
 * the place of plugins that can't be had. May be interrupted at any point. Returns what it did, for the step's line.
 * @throws UserError when a file isn't what it should be
 */
export async function obtainPulumi(): Promise<string> {
  const done = [await install(pulumiBin, installedCli, cli, 1)];
  for (const each of plugins) {
    const source = async () => installedPlugin(each.folder, `pulumi-resource-${each.name}`);
    done.push(await install(join(pulumiRoot, each.folder), source, plugin(each)));
  }
  const made = [...new Set(done.filter((what) => what !== undefined && what !== unobtainable))];
  const line = made.length === 0 ? version : `${version}, ${made.join(" and ")}`;
  if (pulumiHome() === pulumiRoot) return line;
  const { layStandIns } = await airGapped("stand-ins.ts", "one of Pulumi's plugins");
  const names = layStandIns(standInsHome, pulumiRoot, plugins);
  return `${line}; Berth's stand-ins serve for the plugins ${names.join(", ")}, which can't be had (docs/air-gapped.md)`;
}

/** Whether the command line is there. */
export const hasCli = (): boolean => existsSync(pulumiBin);

/** The folder of the language host, where it does not lie beside the command line. */
export const languageHostDir = join(pulumiRoot, "language-host");

/** Whether it is there; also where there is no command line that could need it. */
export const hasLanguageHost = (): boolean =>
  !hasCli() || [pulumiBin, languageHostDir].some((dir) => existsSync(join(dir, "pulumi-language-nodejs")));

/** Builds the language host for Node unless it is there (half a minute): `pulumi up` by hand needs it. Returns what it did. */
export async function ensureLanguageHost(): Promise<string> {
  if (hasLanguageHost()) return "there already";
  const { buildLanguageHost } = await airGapped("pulumi.ts", "Pulumi's language host");
  return buildOnce(languageHostDir, buildLanguageHost);
}

/** Builds the command line from its Go modules (about four minutes on two cores). */
export async function buildCli(): Promise<string> {
  const { buildPulumi } = await airGapped("pulumi.ts", "Pulumi's command line");
  return buildOnce(pulumiBin, buildPulumi);
}

interface AirGapped {
  "stand-ins.ts": typeof import("../air-gapped/stand-ins.ts");
  "pulumi.ts": typeof import("../air-gapped/pulumi.ts");
}

/** What takes the place of downloads where there is no internet, loaded only then: a checkout may lack it. */
function airGapped<Name extends keyof AirGapped>(name: Name, what: string): Promise<AirGapped[Name]> {
  const file = join(root, "local", "air-gapped", name);
  if (!existsSync(file))
    throw new UserError(`${what} can't be had: name a mirror in BERTH_MIRROR (docs/air-gapped.md).`);
  return import(file) as Promise<AirGapped[Name]>;
}

/** All of it, for commands that need nothing else. */
export async function ensurePulumi(): Promise<string> {
  const line = await obtainPulumi();
  const made = hasCli() ? line : `${line}; the command line is ${await buildCli()}`;
  await ensureLanguageHost();
  return made;
}

const unobtainable = "unobtainable";

/**
 * Fills `home` with the command line and the plugins from the mirror, for a comparison with the stand-ins.
 * @throws Error when the mirror lacks one
 */
export async function layMirrored(home: string): Promise<void> {
  const nowhere = async () => undefined;
  const parts = [await install(join(home, "bin"), nowhere, cli, 1)];
  for (const each of plugins) parts.push(await install(join(home, each.folder), nowhere, plugin(each)));
  if (parts.includes(unobtainable))
    throw new Error(`${mirror()} lacks Pulumi or one of its plugins (docs/air-gapped.md)`);
}

/** Where the files of a part are on this machine already. */
interface Installed {
  folder: string;
  files: string[];
}

/**
 * Fills `target`, whole or not at all. Returns what it did, or nothing where there was nothing to do.
 * @param strip how many folders the files are in inside the archive. Default 0.
 */
async function install(
  target: string,
  findInstalled: () => Promise<Installed | undefined>,
  download: Download,
  strip = 0,
): Promise<string | undefined> {
  if (existsSync(target)) return undefined;
  const fill = async (folder: string) => {
    const installed = await findInstalled();
    if (installed) {
      for (const file of installed.files) copyFileSync(join(installed.folder, file), join(folder, file));
      return "copied from this machine";
    }
    await obtainPacked(download, folder, strip);
    return "installed";
  };
  try {
    return await buildOnce(target, fill);
  } catch (error) {
    if (error instanceof Unobtainable) return unobtainable;
    throw error;
  }
}

/** A CLI of the right version on PATH with its language host. */
async function installedCli(): Promise<Installed | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (!existsSync(join(folder, "pulumi"))) continue;
    const home = dirname(realpathSync(join(folder, "pulumi")));
    const files = programs.filter((program) => existsSync(join(home, program)));
    if (files.length < programs.length) continue;
    const { stdout } = await execa(join(home, "pulumi"), ["version"], { reject: false });
    if (stdout.trim() === `v${version}`) return { folder: home, files };
  }
  return undefined;
}

/** A plugin in the user's own PULUMI_HOME. */
function installedPlugin(folder: string, program: string): Installed | undefined {
  const home = join(process.env.PULUMI_HOME ?? join(homedir(), ".pulumi"), folder);
  return existsSync(join(home, program)) && !isStandIn(join(home, program))
    ? { folder: home, files: [program] }
    : undefined;
}

/** Whether the program is the launcher of a stand-in, of whatever checkout: a few lines, where a plugin is megabytes. */
export const isStandIn = (program: string): boolean => statSync(program).size < 4096;
