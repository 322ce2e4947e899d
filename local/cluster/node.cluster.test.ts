/** What the running node does: who listens where, where images come from, and what its guard would see. */
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { expect, test } from "vitest";
import { nodeIp, registry } from "../lib/paths.ts";
import { pidOf } from "../lib/process.ts";
import { components } from "./components.ts";
import { guardRules } from "./guard.ts";
import { kubectl } from "./kubectl.ts";
import { TestNamespace } from "./testing.ts";

test("the daemons listen on loopback and the node's own address only", async () => {
  const { stdout } = await execa("ss", ["--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes"]);
  const sockets = stdout.split("\n").map((line) => {
    const [, , , , local = "", , owners = ""] = line.split(/\s+/);
    return { local, pids: [...owners.matchAll(/pid=(\d+)/g)].map(([, pid]) => Number(pid)) };
  });
  const listening = (name: string) =>
    sockets.filter(({ pids }) => pids.includes(pidOf(name) ?? 0)).map(({ local }) => local);
  for (const { name } of components.filter(({ name }) => name !== "netpol")) {
    expect(listening(name), name).not.toEqual([]);
    for (const local of listening(name)) expect(["127.0.0.1", nodeIp], name).toContain(local.replace(/:\d+$/, ""));
  }
  expect(listening("netpol")).toEqual([]);
  expect(listening("etcd").sort()).toEqual(["127.0.0.1:2379", "127.0.0.1:2380"]);
  expect(listening("kube-proxy").sort()).toEqual(["127.0.0.1:10249", "127.0.0.1:10256"]);
  expect(listening("registry")).toEqual([registry]);
});

/** How a connection from the machine itself ends. */
const attempt = (host: string, port: number) =>
  new Promise<string>((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve("connected");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

test("a NodePort answers on loopback and the node's own address only", async () => {
  await using namespace = await TestNamespace.create();
  await namespace.startPods([{ name: "server", script: "require('net').createServer((s) => s.end()).listen(8080)" }]);
  const spec = { type: "NodePort", selector: { name: "server" }, ports: [{ port: 8080 }] };
  await namespace.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "server" }, spec });
  const path = "jsonpath={.spec.ports[0].nodePort}";
  const port = Number(await kubectl(["-n", namespace.name, "get", "service", "server", "-o", path]));
  for (const host of ["127.0.0.1", nodeIp]) {
    const isConnected = (outcome: string) => outcome === "connected";
    await until(`${host}:${port} answers`, 30, () => attempt(host, port), isConnected);
  }
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
  const others = own.filter(({ family, internal, address }) => family === "IPv4" && !internal && address !== nodeIp);
  expect(others.length).toBeGreaterThan(0); // the pods' bridge has one
  for (const { address } of others) expect(await attempt(address, port), address).toBe("ECONNREFUSED");
});

test("an image of whatever registry is looked for in the local one only", async () => {
  await using namespace = await TestNamespace.create();
  // No registry can have this name, so a look elsewhere would end at its address.
  const container = { name: "none", image: "registry.invalid/nobody/nothing:1" };
  await namespace.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "none" },
    spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [container] },
  });
  const message = "jsonpath={.status.containerStatuses[0].state.waiting.message}";
  const says = await until(
    "the image can't be pulled",
    60,
    () => kubectl(["-n", namespace.name, "get", "pod", "none", "-o", message]),
    (said) => said.includes(container.image),
  );
  expect(says).toContain(`${container.image}: not found`);
  expect(says).not.toMatch(/lookup|dial/);
});

test("no daemon and no pod needs a lower OOM score than other processes, which root may lack the right to", () => {
  const read = (path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // it has ended meanwhile
    }
  };
  const daemons = components.map(({ name }) => pidOf(name));
  const ofPods = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/cgroup`).includes("kubepods"))
    .map(Number);
  expect(daemons).not.toContain(undefined);
  expect(ofPods.length).toBeGreaterThan(0);
  const lowered = [...daemons, ...ofPods].filter((pid) => Number(read(`/proc/${pid}/oom_score_adj`)) < 0);
  expect(lowered).toEqual([]);
});

/** Sends a packet from a pod's address and one to a service's, by the machine's default route, in a network of its own. */
const packets = `
  ip link set lo up
  ip address add 10.244.0.9/32 dev lo
  ip link add out type bridge
  ip address add 192.0.2.1/24 dev out
  ip link set out up
  ip route add default dev out src 192.0.2.1
  ip route add 198.51.100.0/24 dev out src 10.244.0.9
  send() { echo x >/dev/udp/$1/53 || true; }
  send 198.51.100.1
  send 10.96.1.1
  nft -j list counters table inet berth_guard`;

test.each([
  ["what leaves for elsewhere is refused, and nothing leaks", "", { refused: 2, leaked: 0 }],
  [
    "where nothing is refused, what leaks is counted, from pods even if their addresses are hidden by masquerading",
    `nft flush chain inet berth_guard outgoing
     nft add table ip nat
     nft add chain ip nat out '{ type nat hook postrouting priority srcnat; }'
     nft add rule ip nat out masquerade`,
    { refused: 0, leaked: 2 },
  ],
])("the guard: %s", async (_, change, expected) => {
  const script = `set -e; nft -f - <<'END'\ntable inet berth_guard {\n${guardRules()}}\nEND\n${change}\n${packets}`;
  const { stdout } = await execa("unshare", ["--net", "bash", "-c", script]);
  const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] };
  const counters = nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : []));
  expect(Object.fromEntries(counters)).toEqual(expected);
});
