/** Checks, before any change, whether the local cluster can run on this machine. */
import { BlockList } from "node:net";
import { machine } from "../../machine/machine.ts";
import { installGo } from "../lib/go.ts";
import { UserError } from "../lib/steps.ts";
import { type Host, inspect } from "./inspect.ts";

const { apiNodePort, network, registryPort, sandboxNodePort } = machine;

const gib = 2 ** 30;

/** The free disk space that the cluster's first start on this machine needs: for programs and build cache, images and volumes. */
const firstStartDisk = 15 * gib;
/** The free disk space that each start after the first one needs. */
const laterStartDisk = 3 * gib;
/** The machine's minimum memory. The linker needs 3 GiB for Kubernetes. The cluster, its stack and one session need 4 GiB. */
const memory = 6 * gib;

/**
 * The ports that Berth opens on this machine's loopback. `what` names the part of Berth that needs the port. `variable` is the
 * environment variable that sets another port.
 */
const ports: Record<number, { what: string; variable: string }> = {
  [registryPort]: { what: "the registry", variable: "BERTH_REGISTRY_PORT" },
  [apiNodePort]: { what: "Berth's API", variable: "BERTH_API_PORT" },
  [sandboxNodePort]: { what: "the ports of sessions", variable: "BERTH_SANDBOX_PORT" },
};

/** Throws a UserError for the machine's first problem. The error says how to solve the problem. Changes nothing. */
export async function preflight(): Promise<void> {
  const fault = findFault(await inspect());
  if (fault !== undefined) throw new UserError(fault);
}

/** Returns the machine's first problem as a sentence, or undefined. Pure. */
export function findFault(host: Host): string | undefined {
  return findMissing(host) ?? findShortage(host) ?? findOccupant(host);
}

/** setup.sh has checked already that the machine has Linux and that the user is root. */
function findMissing({ hasApt, hasGo }: Host): string | undefined {
  if (!hasApt)
    return "The local cluster needs Debian packages, and this machine lacks apt-get or dpkg: use Debian 12 or 13.";
  if (!hasGo)
    return `The cluster's programs are built with Go, and go is not on the PATH. ${installGo} (https://go.dev/dl).`;
  return undefined;
}

function findShortage(host: Host): string | undefined {
  if (host.memory < memory)
    return `The local cluster needs ${inGib(memory)} of memory, and this machine has ${inGib(host.memory)}: use a machine with more memory.`;
  const needed = host.startedBefore ? laterStartDisk : firstStartDisk;
  const full = host.disks.find(({ free }) => free < needed);
  if (full !== undefined)
    return `The local cluster needs ${inGib(needed)} on the disk of ${full.path}, and ${inGib(full.free)} are free: free some disk space, or set ${full.variable} to a directory on another disk.`;
  return undefined;
}

function findOccupant({ dockerIsPodman, takenPorts, routes }: Host): string | undefined {
  if (dockerIsPodman)
    return "/usr/bin/docker is podman here, but Berth builds its images with Docker and needs Docker's client at this path: remove the package podman-docker (podman itself may stay), then run the command again.";
  const [port] = takenPorts;
  if (port !== undefined)
    return `Port ${port} of 127.0.0.1, which ${ports[port]?.what} needs, is in use by another program (ss -ltnp shows the program): stop that program, or set ${ports[port]?.variable} to a free port.`;
  const route = routes.find(({ dst }) => overlap(dst, network));
  if (route !== undefined)
    return `The cluster's addresses, ${network}, are in use on this machine: the machine has a route to ${route.dst} (${route.dev ?? "no device"}). Set BERTH_NETWORK to a free network, for example 172.31.0.0/16.`;
  return undefined;
}

/** Whether two IPv4 networks, or an address and a network, share an address. The default route doesn't count. */
export function overlap(one: string, other: string): boolean {
  if (one === "default") return false;
  const [[address = "", bits = 32], [otherAddress = "", otherBits = 32]] = [one.split("/"), other.split("/")];
  if (Number(bits) <= 1) return false; // some VPNs split the default route into two halves
  const larger = new BlockList();
  larger.addSubnet(address, Math.min(Number(bits), Number(otherBits)));
  return larger.check(otherAddress);
}

const inGib = (bytes: number) => `${(bytes / gib).toFixed(1)} GiB`;
