/** Finds the mirrors from which this machine gets Debian's packages. */
import { execa } from "execa";

/**
 * Returns an apt sources list with this machine's mirrors.
 * @param release a release of Debian. Default: the Debian release of the base images on which Berth builds
 */
export async function machineSources(release = "bookworm"): Promise<string> {
  const format = "$(LABEL)|$(REPO_URI)";
  const { stdout } = await execa("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  return debianSources(stdout, release);
}

/**
 * Returns the list for the mirrors in the output of `apt-get indextargets`, whose format is `$(LABEL)|$(REPO_URI)`. Only mirrors
 * of Debian's own archives are used. Without such a mirror, the list names deb.debian.org. Pure.
 */
export function debianSources(indexTargets: string, release: string): string {
  const targets = indexTargets.split("\n").map((line) => line.split("|"));
  const mirror = (label: string, fallback: string) => targets.find(([found]) => found === label)?.[1] ?? fallback;
  const archive = mirror("Debian", "http://deb.debian.org/debian/");
  const security = mirror("Debian-Security", "http://deb.debian.org/debian-security/");
  return [
    `deb ${archive} ${release} main`,
    `deb ${archive} ${release}-updates main`,
    `deb ${security} ${release}-security main`,
    "",
  ].join("\n");
}
