/**
 * The node: namespaces of its own (network, mounts, processes, control groups) in which all of the cluster runs. Its first
 * process, node.sh, holds them. One pair of interfaces leads to it, with one route on the machine, and none leads out of it.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { inCgroup, removeCgroup } from "../lib/cgroups.ts";
import { firstOf, pidOf, start, stop, waitFor } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";

const { cacheDir, machineIp, name, network, nodeIp, runDir, serviceCidr, stateDir } = machine;

const node = "node";
/** The interface on this machine, and its peer in the node, which netpol knows by its name. */
const link = name;
const peer = "machine0";

/** The node's first process, as this machine counts; undefined unless it runs. */
export const nodePid = () => firstOf(node);

/** The command line that runs a command in the node. Throws unless it runs. */
export function inNode(command: string[]): string[] {
  const pid = nodePid();
  if (pid === undefined) throw new UserError("The cluster's node doesn't run: npm run up starts it.");
  return ["nsenter", `--target=${pid}`, "--net", "--mount", "--pid", "--ipc", "--cgroup", "--", ...command];
}

/** Runs a command in the node and returns its output. */
export async function runInNode(...command: string[]): Promise<string> {
  const [program = "", ...args] = inNode(command);
  return (await execa(program, args)).stdout;
}

/** Starts the node's first process and links the node with this machine, as far as that isn't done. Returns whether it started. */
export async function ensureNode(): Promise<boolean> {
  if (pidOf(node) === undefined) removeCgroup(name);
  // Of what it hides from the node: Berth's own directories, and the programs'.
  const visible = [...new Set([stateDir, runDir, cacheDir, root, dirname(process.execPath)])];
  for (const dir of visible) mkdirSync(dir, { recursive: true });
  const script = fileURLToPath(new URL("node.sh", import.meta.url));
  // No leaf, because the group is the root of the node's.
  const [command = "", ...args] = inCgroup(name, ["/bin/sh", script, name, ...visible], { leaf: "." });
  const started = start({ name: node, command, args });
  const runs = () => pidOf(node) !== undefined;
  await waitFor("The node", 20, async () => existsSync(`/proc/${nodePid()}/root/run/ready`), { name: node, runs });
  await connect();
  return started;
}

async function connect(): Promise<void> {
  const inside = (...args: string[]) => runInNode("ip", ...args);
  if (!existsSync(`/proc/${nodePid()}/root/sys/class/net/${peer}`)) {
    await unlink(); // of a node that was killed
    await ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", String(nodePid()));
  }
  await inside("address", "replace", `${nodeIp}/32`, "dev", peer);
  await inside("link", "set", peer, "up");
  await inside("route", "replace", machineIp, "dev", peer, "src", nodeIp);
  // What connects from the node itself to a Service needs a route before kube-proxy turns the address into a pod's.
  await inside("route", "replace", serviceCidr, "dev", peer, "src", nodeIp);
  await ip("address", "replace", `${machineIp}/32`, "dev", link);
  await ip("link", "set", link, "up");
  await ip("route", "replace", network, "via", nodeIp, "dev", link, "onlink", "src", machineIp);
}

/** Ends the node with all that runs in it; containers have ten seconds to end by themselves. */
export async function stopNode(): Promise<void> {
  await stop(node, 20_000);
  await unlink();
  removeCgroup(name);
}

/** Removes the link. An interface of another kind by that name is not Berth's. */
async function unlink(): Promise<void> {
  const { stdout } = await execa("ip", ["-brief", "link", "show", "type", "veth"]);
  const isThere = stdout.split("\n").some((line) => line.startsWith(`${link}@`));
  if (isThere) await execa("ip", ["link", "delete", link], { reject: false }); // it goes with the node's network, too
}

const ip = (...args: string[]) => execa("ip", args);
