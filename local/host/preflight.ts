/** Says, before anything is touched, whether this machine can carry the local cluster. */
import { BlockList } from "node:net";
import { machine } from "../../machine/machine.ts";
import { installGo } from "../lib/go.ts";
import { UserError } from "../lib/steps.ts";
import { inspect, type Machine } from "./machine.ts";

const { apiNodePort, network, registryPort } = machine;

const gib = 2 ** 30;

/** What a first start writes: the programs with their build cache, images, volumes. */
const firstStartDisk = 15 * gib;
/** What a start writes where all that is there. */
const laterStartDisk = 3 * gib;
/** Linking Kubernetes takes 3 GiB; the cluster, its stack and one session 4. */
const memory = 6 * gib;

/** The ports that Berth opens on this machine's loopback: what answers there, and the variable that moves it. */
const ports: Record<number, { what: string; variable: string }> = {
  [registryPort]: { what: "the registry", variable: "BERTH_REGISTRY_PORT" },
  [apiNodePort]: { what: "Berth's API", variable: "BERTH_API_PORT" },
};

/** Throws a UserError for the first thing that stands in the way, saying what to do about it. Changes nothing. */
export async function preflight(): Promise<void> {
  const fault = findFault(await inspect());
  if (fault !== undefined) throw new UserError(fault);
}

/** The first fault of the machine as a sentence, or undefined. Pure. */
export function findFault(machine: Machine): string | undefined {
  return findMissing(machine) ?? findShortage(machine) ?? findOccupant(machine);
}

function findMissing({ platform, uid, hasApt, hasGo }: Machine): string | undefined {
  if (platform !== "linux")
    return `The local cluster needs Linux, and this is ${platform}: use a Linux machine, or a cluster that you have (npm run up -- --context NAME).`;
  if (uid !== 0)
    return "The local cluster makes namespaces, mounts and containers, which only root may: run the command as root.";
  if (!hasApt)
    return "The local cluster is made of Debian packages, and apt-get or dpkg is not there: use Debian 12 or 13.";
  if (!hasGo)
    return `The cluster's programs are built with Go, and go is not on the PATH. ${installGo} (https://go.dev/dl).`;
  return undefined;
}

function findShortage(machine: Machine): string | undefined {
  if (machine.memory < memory)
    return `The local cluster needs ${inGib(memory)} of memory, and this machine has ${inGib(machine.memory)}: use a larger one.`;
  const needed = machine.startedBefore ? laterStartDisk : firstStartDisk;
  const full = machine.disks.find(({ free }) => free < needed);
  if (full !== undefined)
    return `The local cluster needs ${inGib(needed)} on the disk of ${full.path}, and ${inGib(full.free)} are free: make room, or set ${full.variable} to a directory on another disk.`;
  return undefined;
}

function findOccupant({ dockerIsPodman, takenPorts, routes }: Machine): string | undefined {
  if (dockerIsPodman)
    return "/usr/bin/docker is podman here, and Berth builds its images by Docker, whose client belongs there: remove the package podman-docker (podman itself may stay), then run the command again.";
  const [port] = takenPorts;
  if (port !== undefined)
    return `Port ${port} of 127.0.0.1, which ${ports[port]?.what} needs, is taken by another program (ss -ltnp says which): stop it, or set ${ports[port]?.variable} to a free port.`;
  const route = routes.find(({ dst }) => overlap(dst, network));
  if (route !== undefined)
    return `The cluster's addresses, ${network}, are in use on this machine: it has a route to ${route.dst} (${route.dev ?? "no device"}). Set BERTH_NETWORK to a free network, for example 172.31.0.0/16.`;
  return undefined;
}

/** Whether two IPv4 networks, or an address and a network, share an address. The default route doesn't count. */
export function overlap(one: string, other: string): boolean {
  const parts = (text: string) => {
    const [address = "", bits = "32"] = text.split("/");
    return { address, bits: Number(bits) };
  };
  const holds = (outer: ReturnType<typeof parts>, inner: ReturnType<typeof parts>) => {
    const list = new BlockList();
    list.addSubnet(outer.address, outer.bits);
    return list.check(inner.address);
  };
  if (one === "default" || parts(one).bits <= 1) return false; // some VPNs have two halves for the default route
  return holds(parts(one), parts(other)) || holds(parts(other), parts(one));
}

const inGib = (bytes: number) => `${(bytes / gib).toFixed(1)} GiB`;
