/** Prints what the machine is like at the moment, as JSON: what Berth must leave alone there, and its processes. */
import { globSync } from "node:fs";
import { readProc } from "../../local/lib/process.ts";
import { machine } from "../../machine/machine.ts";
import { snapshot } from "./machine.ts";

const { name } = machine;

/** All but those of the command that runs this, and those that came from outside of a container. */
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
