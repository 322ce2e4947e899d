/** The control groups of Berth's processes and containers. */
import { globSync, rmdirSync } from "node:fs";

const mounted = "/sys/fs/cgroup";

/** A glob pattern for the folders of a cgroup directly below the root: one folder with v2, one in each hierarchy with v1. */
export const cgroupFolders = (name: string) => `${mounted}/{,*/}${name}`;

/**
 * Returns the command line that makes a cgroup in each hierarchy and runs a command in the cgroup. If systemd started Berth as a
 * service and the command stayed in the service's cgroup, systemd would end the command when the service ends.
 * @param leaf with cgroup v2, the name of the cgroup's child that the command joins, because only leaves may hold processes. With
 * v1, the command joins the cgroup itself. Default: `daemons`
 */
export const inCgroup = (name: string, command: string[], { leaf = "daemons", root = mounted } = {}) => [
  ...["sh", "-c", join, root, name, leaf],
  ...command,
];

const join = `set -eu
  group=$1 leaf=$2
  shift 2
  if [ -e "$0/cgroup.procs" ]; then
    mkdir -p "$0/$group/$leaf"
    echo 0 >"$0/$group/$leaf/cgroup.procs"
  else
    for root in "$0"/*; do
      [ -e "$root/cgroup.procs" ] || continue
      mkdir -p "$root/$group"
      # A new group has no processor and no memory node.
      for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$root/$file" ] || cat "$root/$file" >"$root/$group/$file"
      done
      echo 0 >"$root/$group/cgroup.procs"
    done
  fi
  exec "$@"`;

/** Removes the cgroup and all cgroups below it. A cgroup that has processes stays. */
export function removeCgroup(name: string): void {
  for (const folder of globSync(`${cgroupFolders(name)}/**/`)
    .sort()
    .reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      // The cgroup is in use, or was removed already under another name of its hierarchy.
    }
  }
}
