/**
 * The node: separate namespaces (network, mounts, processes, control groups) in which the whole cluster runs. The node's first
 * process, node.sh, holds the namespaces. One pair of network interfaces, and one route on the machine, lead into the node. No
 * route leads from the node beyond the machine.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { inCgroup, removeCgroup } from "../lib/cgroups.ts";
import { fingerprint, fingerprintOf, firstOf, start, stop, waitFor } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";
import { components } from "./components.ts";

const { cacheDir, machineIp, name, network, nodeIp, runDir, serviceCidr, stateDir } = machine;

const node = "node";
/** The network interface on this machine, and its peer in the node. netpol knows the peer by its name. */
const link = name;
const peer = "machine0";

/** The pid of the node's first process in this machine's pid namespace; undefined unless the node runs. */
export const nodePid = () => firstOf(node);

/** The command line that runs a command in the node. Throws unless the node runs. @param options further options of nsenter */
export function inNode(command: string[], ...options: string[]): string[] {
  const pid = nodePid();
  if (pid === undefined) throw new UserError("The cluster's node doesn't run. Start the node with npm run up.");
  const namespaces = ["--net", "--mount", "--pid", "--ipc", "--cgroup"];
  return ["nsenter", `--target=${pid}`, ...namespaces, ...options, "--", ...command];
}

/** Runs a command in the node and returns its output. */
export async function runInNode(...command: string[]): Promise<string> {
  const [program = "", ...args] = inNode(command);
  return (await execa(program, args)).stdout;
}

/**
 * Starts the node's first process, or restarts it if its script has changed, and links the node with this machine. Returns
 * whether the process was started or restarted.
 */
export async function ensureNode(): Promise<boolean> {
  const script = fileURLToPath(new URL("node.sh", import.meta.url));
  const wanted = fingerprint({ name: node, command: "sh", args: [], files: [script] });
  if (fingerprintOf(node) !== wanted) await stopNode();
  // node.sh hides /run, /var/lib and /var/log from the node, except for these directories of Berth and of its programs.
  const visible = [...new Set([stateDir, runDir, cacheDir, root, dirname(process.execPath)])];
  for (const dir of visible) mkdirSync(dir, { recursive: true });
  // The process joins the cgroup itself and no leaf below it, because the cgroup becomes the root of the node's cgroup namespace.
  const [command = "", ...args] = inCgroup(name, ["/bin/sh", script, name, ...visible], { leaf: "." });
  const started = start({ name: node, command, args }, wanted);
  await waitFor("The node", 20, async () => existsSync(`/proc/${nodePid()}/root/run/ready`), { name: node });
  await connect();
  return started !== undefined;
}

async function connect(): Promise<void> {
  const inside = (...args: string[]) => runInNode("ip", ...args);
  if (!existsSync(`/proc/${nodePid()}/root/sys/class/net/${peer}`)) {
    await unlink(); // the link of a node that was killed
    await ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", String(nodePid()));
  }
  await inside("address", "replace", `${nodeIp}/32`, "dev", peer);
  await inside("link", "set", peer, "up");
  await inside("route", "replace", machineIp, "dev", peer, "src", nodeIp);
  // A connection from the node itself to a Service needs this route, because kube-proxy replaces the Service's address with a
  // pod's address only after the routing.
  await inside("route", "replace", serviceCidr, "dev", peer, "src", nodeIp);
  await ip("address", "replace", `${machineIp}/32`, "dev", link);
  await ip("link", "set", link, "up");
  await ip("route", "replace", network, "via", nodeIp, "dev", link, "onlink", "src", machineIp);
}

/**
 * Ends the node and every process in it. Containers have ten seconds to end by themselves. The daemons' shells are outside the
 * node and end when the daemons end.
 */
export async function stopNode(): Promise<void> {
  await stop(node, 20_000);
  for (const daemon of components) await stop(daemon.name, 0);
  await unlink();
  removeCgroup(name);
}

/** Removes the network link between machine and node. An interface of another type with this name isn't Berth's, and stays. */
async function unlink(): Promise<void> {
  const { stdout } = await execa("ip", ["-brief", "link", "show", "type", "veth"]);
  const isThere = stdout.split("\n").some((line) => line.startsWith(`${link}@`));
  // The command may fail, because the end of the node's network may have removed the link already.
  if (isThere) await execa("ip", ["link", "delete", link], { reject: false });
}

const ip = (...args: string[]) => execa("ip", args);
