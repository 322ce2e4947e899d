/** The services that start at boot: those of packages that Berth installs must not, because Berth starts the programs itself. */
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { execa } from "execa";
import { UserError } from "../lib/steps.ts";
import { onPath } from "./machine.ts";

/** What an installation may have changed; kept in a file, so that a later run ends what a killed one began. */
export interface Installation {
  /** What started at boot before. */
  before: string[];
  /** The packages that were not there before. */
  packages: string[];
}

/**
 * Units that systemd starts at boot, and scripts that sysvinit starts, by name. By their links, which packages make whether
 * systemd runs or not.
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

/** What starts at boot now, did not before, and is of the packages that were installed. Pure. */
export const broughtAlong = (now: string[], before: string[], ofPackages: string[]): string[] =>
  now.filter((name) => !before.includes(name) && ofPackages.includes(name));

/** What apt-get would install, from what it says with `--simulate`. Pure. */
export const simulated = (output: string): string[] =>
  [...output.matchAll(/^Inst (\S+)/gm)].map(([, name = ""]) => name.replace(/:.*/, ""));

/** The installation that a killed run has begun, or undefined. @param file where it was noted */
export const begun = (file: string): Installation | undefined =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Installation) : undefined;

/** Notes, before it begins, what an installation may change; beside what a killed one may have changed. */
export function note(file: string, packages: string[], root = "/"): void {
  const { before, packages: others } = begun(file) ?? { before: startedAtBoot(root), packages: [] };
  const installation: Installation = { before, packages: [...new Set([...others, ...packages])] };
  writeFileSync(`${file}.new`, JSON.stringify(installation));
  renameSync(`${file}.new`, file);
}

/**
 * Disables the services that came with the packages of the noted installation, which is then forgotten.
 * @throws UserError where one can't be disabled
 */
export async function disableBroughtAlong(file: string, root = "/"): Promise<void> {
  const installation = begun(file);
  if (installation === undefined) return;
  // It lists those packages that are there, whatever it says of others.
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
