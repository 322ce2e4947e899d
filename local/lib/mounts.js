/** Mounts that Berth has made. */
import { readFileSync } from "node:fs";
import { execa } from "execa";
/** The mount points at or below `dirs` in a mountinfo table, the innermost first. Pure. */
export function mountsUnder(dirs, mountinfo) {
    return mountinfo
        .split("\n")
        .map((line) => line.split(" ")[4] ?? "")
        .filter((point) => dirs.some((dir) => point === dir || point.startsWith(`${dir}/`)))
        .reverse();
}
/** Unmounts them all; lazily, as a process that is about to end may still stand in one. */
export async function unmountUnder(dirs) {
    const points = mountsUnder(dirs, readFileSync("/proc/self/mountinfo", "utf8"));
    if (points.length > 0)
        await execa("umount", ["--lazy", ...points], { reject: false });
}
