/** Where this machine gets Debian's packages from. */
import { execa } from "execa";

/** An apt sources list for `release`, by default the one that Berth builds images on, from this machine's mirrors. */
export async function machineSources(release = "bookworm"): Promise<string> {
  const format = "$(LABEL)|$(REPO_URI)";
  const { stdout } = await execa("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  return debianSources(stdout, release);
}

/**
 * The list, from the mirrors in the output of `apt-get indextargets` with the format `$(LABEL)|$(REPO_URI)`. Only Debian's own
 * archives are taken; without any, deb.debian.org is. Pure.
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
