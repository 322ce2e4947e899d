/** Pulumi's command line, language host and plugins, in the versions of infra/package.json. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { buildOnce } from "../lib/go.ts";
import { binDir, cacheDir, root } from "../lib/paths.ts";
import { type Archive, cliArchive, mirrorDir, obtain, pluginArchive, Unobtainable } from "./archives.ts";
import { buildPulumi, pulumiSources } from "./build.ts";
import { isStandIn, layStandIns } from "./stand-ins.ts";

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
const plugins = ["kubernetes", "random", "docker"].map((name) => {
  const version = versionOf(name);
  return { name, version, folder: join("plugins", `resource-${name}-v${version}`) };
});

/** The command line, and the official plugins: shared by all checkouts, and apart from the user's ~/.pulumi. */
export const pulumiRoot = join(cacheDir, `pulumi-${version}`);
/** The folder of `pulumi`. */
export const pulumiBin = join(pulumiRoot, "bin");

/** Stand-ins run from the checkout, so each has its own. */
const standInsHome = join(root, "node_modules", ".cache", "berth", `pulumi-${version}`);

/** PULUMI_HOME: where the plugins are. The official ones, if all of them are there; there once `ensurePulumi` has run. */
export const pulumiHome = (): string =>
  plugins.every(({ folder }) => existsSync(join(pulumiRoot, folder))) ? pulumiRoot : standInsHome;

/** What the CLI needs beside it for programs in Node. */
const programs = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

/**
 * Makes Pulumi complete: what is installed on this machine is copied, the rest comes from a mirror or from Pulumi. Where
 * neither has it, the command line is built from its Go modules (about four minutes on two cores), and stand-ins take the
 * plugins' place. May be interrupted at any point. Returns what it did, for the step's line.
 * @throws UserError when a part can't be had
 */
export async function ensurePulumi(): Promise<string> {
  const done = [await install(pulumiBin, installedCli, cliArchive(version), "pulumi", buildPulumi)];
  for (const { name, version, folder } of plugins) {
    const source = async () => installedPlugin(folder, `pulumi-resource-${name}`);
    done.push(await install(join(pulumiRoot, folder), source, pluginArchive(name, version)));
  }
  const made = [...new Set(done.filter((what) => what !== undefined && what !== unobtainable))];
  const line = made.length === 0 ? `${version}, cached` : `${version}, ${made.join(" and ")}`;
  if (pulumiHome() === pulumiRoot) return line;
  const names = layStandIns(standInsHome, pulumiRoot, plugins);
  return `${line}; Berth's stand-ins serve for the plugins ${names.join(", ")}, which can't be had (docs/air-gapped.md)`;
}

const unobtainable = "unobtainable";

/** Where `ensureBuiltPulumi` puts a command line like the one that is built where none can be had, in `bin`. */
export const builtPulumi = join(binDir, `pulumi-${pulumiSources()}`);

/** Builds it once per version, for tests on machines that can have the official one. */
export const ensureBuiltPulumi = (): Promise<string> =>
  buildOnce(builtPulumi, (folder) => buildPulumi(join(folder, "bin")));

/** Fills a PULUMI_HOME with stand-ins for all plugins. */
export const layAllStandIns = (home: string): void => void layStandIns(home, "", plugins);

/**
 * Fills `home` with the command line and the plugins from the folder that BERTH_MIRROR names, for a comparison with the
 * stand-ins.
 * @throws Error when the mirror lacks one
 */
export async function layMirrored(home: string): Promise<void> {
  const nowhere = async () => undefined;
  const parts = [
    await install(join(home, "bin"), nowhere, cliArchive(version), "pulumi"),
    ...(await Promise.all(
      plugins.map(({ name, version, folder }) => install(join(home, folder), nowhere, pluginArchive(name, version))),
    )),
  ];
  if (parts.includes(unobtainable))
    throw new Error(`${mirrorDir()} lacks Pulumi or one of its plugins (docs/air-gapped.md)`);
}

/** Where the files of a part are on this machine already. */
interface Installed {
  folder: string;
  files: string[];
}

/**
 * Fills `target` in one rename, so that it is whole or not there.
 * @param inside the folder inside the archive that becomes `target`; default the archive itself
 * @param build makes it where it is nowhere to be had; default: it stays away
 */
async function install(
  target: string,
  findInstalled: () => Promise<Installed | undefined>,
  archive: Archive,
  inside = "",
  build?: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  if (existsSync(target)) return undefined;
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(dirname(target), ".install-"));
  try {
    const unpacked = join(work, "unpacked");
    mkdirSync(unpacked);
    const installed = await findInstalled();
    if (installed) {
      for (const file of installed.files) cpSync(join(installed.folder, file), join(unpacked, inside, file));
    } else {
      const file = await obtain(archive, join(work, archive.file));
      await execa("tar", ["--extract", "--gzip", "--no-same-owner", "--file", file, "--directory", unpacked]);
    }
    chmodSync(join(unpacked, inside), 0o755);
    renameSync(join(unpacked, inside), target);
    return installed ? "copied from this machine" : "installed";
  } catch (error) {
    if (!(error instanceof Unobtainable)) throw error;
    if (build === undefined) return unobtainable;
    return await buildOnce(target, build);
  } finally {
    rmSync(work, { recursive: true, force: true });
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
