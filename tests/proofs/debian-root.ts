/** Root file systems of Debian releases for proofs. They are built from packages once and then cached. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { machineSources } from "../../local/images/sources.ts";
import { buildOnce } from "../../local/lib/go.ts";
import { machine } from "../../machine/machine.ts";

const { binDir } = machine;

/** Paths in a machine that has one of these root file systems: the checkout, the cache and the certificate authorities. */
export const checkout = "/root/berth";
export const cache = "/root/.cache/berth";
export const trust = "/etc/ssl/certs/ca-certificates.crt";

/** The packages of a usual Debian installation, as far as the proofs need them. */
const usual = ["ca-certificates", "dbus", "iproute2", "nftables", "systemd-sysv"];

/**
 * Creates the root file system of the release if it is not cached. Returns its folder. The caller may change only a copy.
 * @param more packages in addition to the usual ones; their services don't start at boot. Default: none
 * @throws Error if the packages are not available
 */
export async function debianRoot(release: string, more: string[] = []): Promise<string> {
  const sources = await machineSources(release);
  const packages = [...usual, ...more];
  const key = createHash("sha256")
    .update(JSON.stringify([sources, packages]))
    .digest("hex")
    .slice(0, 12);
  const folder = join(binDir, `debian-${release}-${key}`);
  await buildOnce(folder, async (target) => {
    const list = `${target}.list`;
    writeFileSync(list, sources);
    const options = ["--variant=minbase", "--mode=root", "--dpkgopt=force-unsafe-io", `--include=${packages.join()}`];
    const merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr";
    await execa("mmdebstrap", [...options, merged, release, target, list]).finally(() => rmSync(list));
  });
  return folder;
}

/**
 * Adds to the root file system in the folder `machine` what a user of Berth has: Node.js with npm, host names, and this
 * machine's certificate authorities.
 */
export async function furnish(machine: string): Promise<void> {
  writeFileSync(join(machine, "etc/hosts"), "127.0.0.1 localhost\n");
  if (existsSync(trust)) cpSync(trust, join(machine, trust));
  const local = join(machine, "usr/local");
  const npm = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "npm"));
  const program = realpathSync(npm.find(existsSync) ?? "npm");
  mkdirSync(join(local, "lib/node_modules"), { recursive: true });
  await execa("cp", ["--archive", dirname(dirname(program)), join(local, "lib/node_modules")]);
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin/npm"));
  symlinkSync(join(checkout, "node_modules/node/bin/node"), join(local, "bin/node"));
}
