/** Pulumi's command line, language host and plugins, in the versions of infra/package.json. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { cacheDir, root } from "../lib/paths.ts";
import { cliArchive, obtain, pluginArchive } from "./archives.ts";
/** The SDKs and the programs beside them must be of one version, so the SDKs' versions decide. */
const { dependencies } = JSON.parse(readFileSync(join(root, "infra", "package.json"), "utf8"));
const versionOf = (name) => dependencies[`@pulumi/${name}`] ?? fail(`infra/package.json lacks @pulumi/${name}`);
const fail = (message) => {
    throw new Error(message);
};
const version = versionOf("pulumi");
const plugins = ["kubernetes", "random", "docker"].map((name) => ({ name, version: versionOf(name) }));
/** PULUMI_HOME of Berth: plugins and the CLI's own notes. Apart from the user's ~/.pulumi. */
export const pulumiHome = join(cacheDir, `pulumi-${version}`);
/** The folder of `pulumi`. */
export const pulumiBin = join(pulumiHome, "bin");
/** What the CLI needs beside it for programs in Node. */
const programs = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];
/**
 * Makes `pulumiHome` complete: what is installed on this machine is copied, the rest comes from a mirror or from Pulumi.
 * May be interrupted at any point. Returns what it did, for the step's line.
 * @throws UserError when a part can't be had
 */
export async function ensurePulumi() {
    const cli = await install(pulumiBin, installedCli, cliArchive(version), "pulumi");
    const done = [cli];
    for (const plugin of plugins) {
        const folder = `resource-${plugin.name}-v${plugin.version}`;
        const source = async () => installedPlugin(folder, `pulumi-resource-${plugin.name}`);
        done.push(await install(join(pulumiHome, "plugins", folder), source, pluginArchive(plugin.name, plugin.version)));
    }
    const made = done.filter((what) => what !== undefined);
    return made.length === 0 ? `${version}, cached` : `${version}, ${[...new Set(made)].join(" and ")}`;
}
/**
 * Fills `target` in one rename, so that it is whole or not there.
 * @param inside the folder inside the archive that becomes `target`; default the archive itself
 */
async function install(target, findInstalled, archive, inside = "") {
    if (existsSync(target))
        return undefined;
    mkdirSync(dirname(target), { recursive: true });
    const work = mkdtempSync(join(pulumiHome, ".install-"));
    try {
        const unpacked = join(work, "unpacked");
        mkdirSync(unpacked);
        const installed = await findInstalled();
        if (installed) {
            for (const file of installed.files)
                cpSync(join(installed.folder, file), join(unpacked, inside, file));
        }
        else {
            const file = await obtain(archive, join(work, archive.file));
            await execa("tar", ["--extract", "--gzip", "--no-same-owner", "--file", file, "--directory", unpacked]);
        }
        chmodSync(join(unpacked, inside), 0o755);
        renameSync(join(unpacked, inside), target);
        return installed ? "copied from this machine" : "installed";
    }
    finally {
        rmSync(work, { recursive: true, force: true });
    }
}
/** A CLI of the right version on PATH with its language host. */
async function installedCli() {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
        if (!existsSync(join(folder, "pulumi")))
            continue;
        const home = dirname(realpathSync(join(folder, "pulumi")));
        const files = programs.filter((program) => existsSync(join(home, program)));
        if (files.length < programs.length)
            continue;
        const { stdout } = await execa(join(home, "pulumi"), ["version"], { reject: false });
        if (stdout.trim() === `v${version}`)
            return { folder: home, files };
    }
    return undefined;
}
/** A plugin in the user's own PULUMI_HOME. */
function installedPlugin(folder, program) {
    const home = join(process.env.PULUMI_HOME ?? join(homedir(), ".pulumi"), "plugins", folder);
    return existsSync(join(home, program)) ? { folder: home, files: [program] } : undefined;
}
