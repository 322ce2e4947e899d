/** Where this machine gets Debian's packages from, for images of the release that Berth builds on. */
const release = "bookworm";
/**
 * An apt sources list for `release`, from the mirrors in the output of `apt-get indextargets` with the format
 * `$(LABEL)|$(REPO_URI)`. Only Debian's own archives are taken; without any, deb.debian.org is.
 */
export function debianSources(indexTargets) {
    const targets = indexTargets.split("\n").map((line) => line.split("|"));
    const mirror = (label, fallback) => targets.find(([found]) => found === label)?.[1] ?? fallback;
    const archive = mirror("Debian", "http://deb.debian.org/debian/");
    const security = mirror("Debian-Security", "http://deb.debian.org/debian-security/");
    return [
        `deb ${archive} ${release} main`,
        `deb ${archive} ${release}-updates main`,
        `deb ${security} ${release}-security main`,
        "",
    ].join("\n");
}
