/**
 * The services that start at boot. The services of packages that Berth installs must not start at boot, because Berth starts the
 * programs itself.
 */
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { execa } from "execa";
import { UserError } from "../lib/steps.ts";
import { onPath } from "./machine.ts";

/**
 * The record of what an installation may change. The record is in a file, so that a later run can complete a killed installation.
 */
export interface Installation {
  /** The services that started at boot before the installation. */
  before: string[];
  /** The packages that the installation adds. */
  packages: string[];
}

/**
 * The names of the units that systemd starts at boot, and of the scripts that sysvinit starts. The names come from links in /etc,
 * because packages make these links even on machines on which systemd does not run.
 * @param root the machine's root folder
 */
export function startedAtBoot(root = "/"): string[] {
  const units = globSync("etc/systemd/system/*.{wants,requires}/*", { cwd: root }).map((link) => basename(link));
  const scripts = globSync("etc/rc[2-5S].d/S[0-9][0-9]*", { cwd: root }).map((link) => basename(link).slice(3));
  return [...new Set([...units, ...scripts])].sort();
}

/** The units and scripts among a package's files. Pure. */
export const servicesOf = (files: string[]): string[] => [
  ...new Set(
    files.flatMap((file) => /^(?:\/usr)?\/(?:lib\/systemd\/system|etc\/init\.d)\/([^/]+)$/.exec(file)?.[1] ?? []),
  ),
];

const isUnit = (name: string) => /\.(service|socket|timer|path|mount|target)$/.test(name);

/** The services that start at boot now, did not start at boot before the installation, and belong to the new packages. Pure. */
export const broughtAlong = (now: string[], before: string[], ofPackages: string[]): string[] =>
  now.filter((name) => !before.includes(name) && ofPackages.includes(name));

/** The packages that apt-get would install, read from its output with `--simulate`. Pure. */
export const simulated = (output: string): string[] =>
  [...output.matchAll(/^Inst (\S+)/gm)].map(([, name = ""]) => name.replace(/:.*/, ""));

/** The record of an installation that has begun and not ended, or undefined. @param file the file of the record */
export const begun = (file: string): Installation | undefined =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Installation) : undefined;

/** Records, before an installation begins, what it may change. If a killed installation left a record, adds to that record. */
export function note(file: string, packages: string[], root = "/"): void {
  const { before, packages: others } = begun(file) ?? { before: startedAtBoot(root), packages: [] };
  const installation: Installation = { before, packages: [...new Set([...others, ...packages])] };
  writeFileSync(`${file}.new`, JSON.stringify(installation));
  renameSync(`${file}.new`, file);
}

/**
 * Disables the services that came with the packages of the recorded installation, and then removes the record.
 * @throws UserError if a service can't be disabled
 */
export async function disableBroughtAlong(file: string, root = "/"): Promise<void> {
  const installation = begun(file);
  if (installation === undefined) return;
  // dpkg-query lists the files of installed packages, and fails for other packages.
  const { stdout } = await execa("dpkg-query", ["--listfiles", ...installation.packages], { reject: false });
  const services = servicesOf((stdout ?? "").split("\n"));
  const left = () => broughtAlong(startedAtBoot(root), installation.before, services);
  const disable = onPath("systemctl") ? "systemctl" : "deb-systemd-helper";
  const units = left().filter(isUnit);
  if (units.length > 0) await execa(disable, ["disable", ...units], { reject: false });
  for (const script of left().filter((name) => !isUnit(name)))
    await execa("update-rc.d", [script, "disable"], { reject: false });
  if (left().length > 0)
    throw new UserError(
      `These services came with Debian packages, would start at boot, and could not be disabled: ${left().join(" ")}. Disable them (systemctl disable NAME, or update-rc.d NAME disable), then run the command again.`,
    );
  rmSync(file);
}
