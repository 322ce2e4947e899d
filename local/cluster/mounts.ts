/** Mounts that the cluster has made. */
import { readFileSync } from "node:fs";
import { execa } from "execa";

/** The mount points at or below `prefixes` (a prefix that ends in "*" means any continuation), innermost first. Pure. */
export function mountsUnder(prefixes: string[], mountinfo: string): string[] {
  const matches = (point: string) =>
    prefixes.some((prefix) =>
      prefix.endsWith("*") ? point.startsWith(prefix.slice(0, -1)) : point === prefix || point.startsWith(`${prefix}/`),
    );
  return mountinfo
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter(matches)
    .reverse();
}

/** Unmounts them all; lazily, as a process that is about to end may still stand in one. */
export async function unmountUnder(prefixes: string[]): Promise<void> {
  const points = mountsUnder(prefixes, readFileSync("/proc/self/mountinfo", "utf8"));
  if (points.length > 0) await execa("umount", ["--lazy", ...points], { reject: false });
}
