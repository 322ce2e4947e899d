/** Says, before anything is touched, whether this machine can carry the local cluster. */
import { apiNodePort } from "../lib/paths.ts";
import { UserError } from "../lib/steps.ts";
import { inspect, type Machine } from "./machine.ts";

const gib = 2 ** 30;

/** What a first start writes: the programs with their build cache, images, volumes. */
const firstStartDisk = 15 * gib;
/** What a start writes where all that is there. */
const laterStartDisk = 3 * gib;
/** Linking Kubernetes takes 3 GiB; the cluster, its stack and one session 4. */
const memory = 6 * gib;

/** The cluster's TCP ports and what listens there. */
const ports: Record<number, string> = {
  2379: "etcd",
  2380: "etcd",
  5000: "the registry",
  6443: "kube-apiserver",
  10248: "kubelet",
  10249: "kube-proxy",
  10250: "kubelet",
  10256: "kube-proxy",
  10257: "kube-controller-manager",
  10259: "kube-scheduler",
  [apiNodePort]: "Berth's API",
};

/** Throws a UserError for the first thing that stands in the way, saying what to do about it. Changes nothing. */
export function preflight(): void {
  const fault = findFault(inspect());
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
    return "The local cluster makes bridges, mounts and containers, which only root may: run the command as root.";
  if (!hasApt) return "The local cluster is made of Debian packages, and apt-get or dpkg is not there: use Debian 12.";
  if (!hasGo)
    return "The cluster's programs are built with Go, and go is not on the PATH: install Go 1.26 or newer (https://go.dev/dl).";
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

function findOccupant({ tcpListeners, containerd }: Machine): string | undefined {
  const occupant = tcpListeners.find(({ port }) => port in ports);
  if (occupant !== undefined)
    return `Port ${occupant.port}, which ${ports[occupant.port]} needs, is taken by ${process(occupant)}: stop that, then run the command again.`;
  if (containerd !== undefined)
    return `The socket /run/containerd/containerd.sock, which the cluster's containerd needs, is taken by ${process(containerd)}: stop that (systemctl stop docker containerd), then run the command again.`;
  return undefined;
}

const process = ({ pid, program }: { pid: number | undefined; program: string | undefined }) =>
  pid === undefined ? "another process" : `${program} (pid ${pid})`;

const inGib = (bytes: number) => `${(bytes / gib).toFixed(1)} GiB`;
