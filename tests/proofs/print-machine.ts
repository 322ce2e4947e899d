/** Prints the machine's state as JSON: everything that Berth must not change, and the running processes. */
import { globSync } from "node:fs";
import { readProc } from "../../local/lib/process.ts";
import { machine } from "../../machine/machine.ts";
import { snapshot } from "./machine.ts";

const { name } = machine;

/** Returns all processes except two groups: those of this command, and those that entered the container from outside. */
function processes(): string[] {
  const groupOf = (pid: number) =>
    readProc(pid, "cgroup")
      .join()
      .match(/name=systemd:(.*)/)?.[1];
  return globSync("/proc/[0-9]*")
    .map((folder) => Number(folder.slice("/proc/".length)))
    .filter((pid) => groupOf(pid) !== groupOf(process.pid) && !groupOf(pid)?.startsWith("/.."))
    .map((pid) => readProc(pid, "cmdline").join(" ").trim())
    .filter(Boolean)
    .sort();
}

console.log(JSON.stringify({ ...(await snapshot(name)), processes: processes() }));
