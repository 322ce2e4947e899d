/**
 * A world outside the cluster, on this machine: a network namespace that only pods have a route to, in the node, and that answers at
 * every address and port named here. So a connection that fails was refused by the cluster, and not for want of an answer.
 */
import { once } from "node:events";
import { execa } from "execa";
import { nodePid } from "../../local/cluster/node.ts";
import { machine } from "../../machine/machine.ts";

const { nodeIp, podCidr } = machine;

/** Addresses for documentation, which nobody has: one that a tenant may reach, and one that none may. */
export const allowedAddress = "203.0.113.10";
export const deniedAddress = "203.0.113.20";
/** Where clouds tell a machine its secrets. */
export const metadataAddress = "169.254.169.254";

const device = "berth-out0";
const inner = "berth-out1";
const table = "5300";
const addresses = [allowedAddress, deniedAddress, metadataAddress];

/**
 * Listens on all addresses. By UDP it sends back what it gets, from the address that was asked, so it has a socket for
 * each; they are made when the addresses are there, which a line on standard input says.
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

/** Puts it up; what is returned takes it away. Needs root, as the local cluster does. */
export async function openOutside(): Promise<() => Promise<void>> {
  await removeRoutes(); // of a run that was interrupted
  // The namespace lives with its process, without a name: `ip netns add` would cover those of the pods with a mount.
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

/** In the node's network, with processes as this machine counts them. */
const ip = (...args: string[]) => execa("nsenter", [`--net=/proc/${nodePid()}/ns/net`, "ip", ...args]);
