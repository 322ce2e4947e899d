/** Control groups that Berth's containers leave behind. */
import { globSync, rmdirSync } from "node:fs";
/** The folders of a cgroup at the root of the hierarchy, on cgroup v1 and v2. */
export const cgroupFolders = (name) => `/sys/fs/cgroup/{,*/}${name}`;
/** Removes the cgroup and all below it, as far as no process is in it. */
export function removeCgroup(name) {
    for (const folder of globSync(`${cgroupFolders(name)}/**/`)
        .sort()
        .reverse()) {
        try {
            rmdirSync(folder);
        }
        catch {
            // in use, or removed already by another of its hierarchy's names
        }
    }
}
