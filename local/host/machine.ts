/** What this machine has, as far as the local cluster cares. Reads only. */
import { once } from "node:events";
import { existsSync, readFileSync, realpathSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { pidOf } from "../lib/process.ts";

const { apiNodePort, bridge, cacheDir, name, registryPort, stateDir } = machine;

export interface Machine {
  platform: string;
  /** The user's; 0 is root. */
  uid: number | undefined;
  /** Whether there are apt-get and dpkg. */
  hasApt: boolean;
  hasGo: boolean;
  /** Whether podman answers to the name of Docker's client. */
  dockerIsPodman: boolean;
  /** Bytes. */
  memory: number;
  /** Whether a cluster has been started here before. */
  startedBefore: boolean;
  /** Free bytes on the disks of the state and the cache. */
  disks: { path: string; variable: string; free: number }[];
  /** The ports of loopback that Berth opens and another program has. */
  takenPorts: number[];
  /** IPv4 routes and addresses that aren't Berth's: "default", an address, or a network such as 10.0.0.0/8. */
  routes: { dst: string; dev?: string }[];
}

export async function inspect(): Promise<Machine> {
  const ports = pidOf("node") === undefined ? [registryPort, apiNodePort] : [];
  const isTaken = await Promise.all(ports.map((port) => cannotOpen(port)));
  return {
    platform: process.platform,
    uid: process.getuid?.(),
    hasApt: onPath("apt-get") && onPath("dpkg"),
    hasGo: onPath("go"),
    dockerIsPodman: isPodman("/usr/bin/docker"),
    memory: totalmem(),
    startedBefore: existsSync(join(stateDir, "etcd")),
    disks: [
      { path: stateDir, variable: "BERTH_STATE", free: freeSpace(stateDir) },
      { path: cacheDir, variable: "BERTH_CACHE", free: freeSpace(cacheDir) },
    ],
    takenPorts: ports.filter((_, i) => isTaken[i]),
    routes: foreign(await routes()),
  };
}

/** Whether there is a program of this name. */
export const onPath = (program: string) =>
  (process.env.PATH ?? "").split(delimiter).some((dir) => existsSync(join(dir, program)));

/** Whether the program is podman, or a script that calls podman, as Debian's package podman-docker has one. */
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

/** Those that aren't Berth's own, also of a start that was interrupted. Pure. */
export const foreign = (routes: Machine["routes"]) => routes.filter(({ dev }) => dev !== name && dev !== bridge);

/** Of all tables, as those of VPNs often aren't in the main one. None where iproute2 isn't installed yet. */
async function routes(): Promise<Machine["routes"]> {
  const list = await execa("ip", ["-4", "-json", "route", "show", "table", "all"], { reject: false });
  return list.failed ? [] : (JSON.parse(list.stdout) as Machine["routes"]);
}
