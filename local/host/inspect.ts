/** Collects the facts about this machine on which a start of the local cluster depends. Changes nothing. */
import { once } from "node:events";
import { existsSync, readFileSync, realpathSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { pidOf } from "../lib/process.ts";

const { apiNodePort, bridge, cacheDir, name, registryPort, sandboxNodePort, stateDir } = machine;

export type Host = Awaited<ReturnType<typeof inspect>>;

export async function inspect() {
  const ports = pidOf("node") === undefined ? [registryPort, apiNodePort, sandboxNodePort] : [];
  const isTaken = await Promise.all(ports.map((port) => cannotOpen(port)));
  return {
    hasApt: onPath("apt-get") && onPath("dpkg"),
    hasGo: onPath("go"),
    /** Whether the docker client's file is in fact podman. */
    dockerIsPodman: isPodman("/usr/bin/docker"),
    /** The machine's memory in bytes. */
    memory: totalmem(),
    /** Whether a cluster has been started here before. */
    startedBefore: existsSync(join(stateDir, "etcd")),
    /** Free bytes on the disks of the state and the cache. */
    disks: [
      { path: stateDir, variable: "BERTH_STATE", free: freeSpace(stateDir) },
      { path: cacheDir, variable: "BERTH_CACHE", free: freeSpace(cacheDir) },
    ],
    /**
     * The loopback ports that Berth needs and another program uses. None if the node runs, because Berth itself then uses them.
     */
    takenPorts: ports.filter((_, i) => isTaken[i]),
    /** The routes that don't belong to Berth. */
    routes: foreign(await routes()),
  };
}

/** An IPv4 route. Its target `dst` is "default", an address, or a network such as 10.0.0.0/8. */
interface Route {
  dst: string;
  dev?: string;
}

/** The files of this name in the folders of the PATH. */
export const filesOnPath = (program: string): string[] =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .filter((file) => existsSync(file));

/** Whether a folder of the PATH contains a program of this name. */
export const onPath = (program: string): boolean => filesOnPath(program).length > 0;

/** Whether the program is podman, or a script that calls podman. Debian's package podman-docker contains such a script. */
export function isPodman(program: string): boolean {
  if (!existsSync(program)) return false;
  if (basename(realpathSync(program)) === "podman") return true;
  return statSync(program).size < 4096 && readFileSync(program, "utf8").includes("podman");
}

function freeSpace(path: string): number {
  if (!existsSync(path)) return freeSpace(dirname(path));
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

async function cannotOpen(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  const opened = await once(server, "listening").catch(() => undefined);
  server.close();
  return opened === undefined;
}

/** The routes that don't belong to Berth, not even to an interrupted start of Berth. Pure. */
export const foreign = (routes: Route[]) => routes.filter(({ dev }) => dev !== name && dev !== bridge);

/**
 * The routes of all tables, because the routes of VPNs often aren't in the main table. Returns no routes if iproute2 isn't
 * installed yet.
 */
async function routes(): Promise<Route[]> {
  const list = await execa("ip", ["-4", "-json", "route", "show", "table", "all"], { reject: false });
  return list.failed ? [] : (JSON.parse(list.stdout) as Route[]);
}
