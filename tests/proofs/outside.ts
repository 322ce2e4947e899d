/**
 * Simulates hosts outside the cluster by a network namespace on this machine. Only packets of pods are routed to this
 * namespace, by rules in the node. A server answers there at every address and port of this file. So if a connection fails,
 * the reason is that the cluster has blocked it, and not that there is no server.
 */
import { once } from "node:events";
import { execa } from "execa";
import { nodePid } from "../../local/cluster/node.ts";
import { machine } from "../../machine/machine.ts";

const { nodeIp, podCidr } = machine;

/**
 * Addresses that are reserved for documentation: the stack `dev` allows the tenant acme to reach the first one, and no tenant may
 * reach the second one.
 */
export const allowedAddress = "203.0.113.10";
export const deniedAddress = "203.0.113.20";
/** The address at which clouds serve metadata and credentials of a machine. */
export const metadataAddress = "169.254.169.254";

const device = "berth-out0";
const inner = "berth-out1";
const table = "5300";
const addresses = [allowedAddress, deniedAddress, metadataAddress];

/**
 * A server that listens on all addresses. It sends UDP messages back from the address that received them, so it needs a
 * socket for each address. A line on standard input says that the addresses exist, and the server then opens these sockets.
 */
const program = `
  for (const port of [53, 80, 443]) require("net").createServer((s) => s.on("error", () => {}).pipe(s)).listen(port);
  console.log("in its namespace");
  process.stdin.once("data", async () => {
    for (const address of ${JSON.stringify(addresses)}) {
      const udp = require("dgram").createSocket("udp4");
      udp.on("message", (text, from) => udp.send(text, from.port, from.address)).bind(53, address);
      await require("events").once(udp, "listening");
    }
    console.log("ready");
  });`;

/**
 * Creates the network namespace and its server. Returns a function that removes them. The caller must be root, as for the
 * local cluster.
 */
export async function openOutside(): Promise<() => Promise<void>> {
  await removeRoutes(); // removes what an interrupted run has left
  // The namespace has no name and exists as long as its process, because `ip netns add` would hide the pods' namespaces by a
  // mount.
  const server = execa("unshare", ["--net", process.execPath, "-e", program], { reject: false });
  await once(server.stdout, "data");
  const inside = (...args: string[]) => execa("nsenter", [`--net=/proc/${server.pid}/ns/net`, "ip", ...args]);
  await ip("link", "add", device, "type", "veth", "peer", "name", inner, "netns", String(server.pid));
  await ip("link", "set", device, "up");
  for (const address of addresses) await inside("address", "add", `${address}/32`, "dev", inner);
  await inside("link", "set", inner, "up");
  await inside("route", "add", "default", "via", nodeIp, "dev", inner, "onlink");
  for (const address of addresses) await ip("route", "replace", address, "dev", device, "table", table);
  await ip("rule", "add", "from", podCidr, "lookup", table);
  server.stdin.write("\n");
  await once(server.stdout, "data");
  return async () => {
    server.kill();
    await server;
    await removeRoutes();
  };
}

async function removeRoutes(): Promise<void> {
  await ip("rule", "delete", "from", podCidr, "lookup", table).catch(() => {});
  await ip("route", "flush", "table", table).catch(() => {});
}

/** Runs a command in the node's network namespace, but in this machine's process namespace. */
const ip = (...args: string[]) => execa("nsenter", [`--net=/proc/${nodePid()}/ns/net`, "ip", ...args]);
