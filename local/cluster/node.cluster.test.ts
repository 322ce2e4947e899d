/**
 * Checks the running node: which processes listen on which addresses, from where images come, and that no packet of a pod leaves
 * the machine.
 */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { machine } from "../../machine/machine.ts";
import { components } from "./components.ts";
import { pidInNode } from "./daemons.ts";
import { kubectl } from "./kubectl.ts";
import { nodePid, runInNode } from "./node.ts";
import { TestNamespace } from "./testing.ts";

const { apiNodePort, machineIp, nodeIp, podCidr, registry, sandboxNodePort, serviceCidr } = machine;

/** The listening sockets of a network (default: this machine's), with the processes that hold them. */
async function listening(network: string[] = []): Promise<{ local: string; pids: number[] }[]> {
  const ss = ["ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes"];
  const [program = "", ...args] = [...network, ...ss];
  const { stdout } = await execa(program, args);
  return stdout.split("\n").map((line) => {
    const [, , , , local = "", , owners = ""] = line.split(/\s+/);
    return { local, pids: [...owners.matchAll(/pid=(\d+)/g)].map(([, pid]) => Number(pid)) };
  });
}

test("the daemons listen in the node only, on loopback and its own address", async () => {
  const inNode = await listening(["nsenter", `--net=/proc/${nodePid()}/ns/net`]);
  const of = (name: string) => {
    const daemon = components.find((component) => component.name === name);
    return inNode.filter(({ pids }) => daemon && pids.includes(pidInNode(daemon) ?? 0)).map(({ local }) => local);
  };
  for (const { name } of components.filter(({ name }) => !["netpol", "forwards"].includes(name))) {
    expect(of(name), name).not.toEqual([]);
    for (const local of of(name)) expect(["127.0.0.1", nodeIp], name).toContain(local.replace(/:\d+$/, ""));
  }
  expect(of("netpol")).toEqual([]);
  expect(of("etcd").sort()).toEqual(["127.0.0.1:2379", "127.0.0.1:2380"]);
  expect(of("kube-proxy").sort()).toEqual([`${nodeIp}:10256`, "127.0.0.1:10249"].sort());
  expect(of("registry")).toEqual([registry]);

  const pids = components.map((component) => pidInNode(component));
  const onMachine = (await listening()).filter((socket) => socket.pids.some((pid) => pids.includes(pid)));
  const expected = [`127.0.0.1:${apiNodePort}`, `127.0.0.1:${sandboxNodePort}`, registry];
  expect(onMachine.map(({ local }) => local).sort()).toEqual(expected.sort());
});

/** Returns how a connection from the machine itself ends. */
const attempt = (host: string, port: number) =>
  new Promise<string>((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve("connected");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

test("a Service is reached from the node itself, as the API server does for aggregated APIs; its NodePort only there", async () => {
  await using namespace = await TestNamespace.create();
  const script = "require('net').createServer((s) => s.end()).listen(8080)";
  const pods = await namespace.startPods([{ name: "server", script }]);
  const spec = { type: "NodePort", selector: { name: "server" }, ports: [{ port: 8080 }] };
  await namespace.apply({ apiVersion: "v1", kind: "Service", metadata: { name: "server" }, spec });
  const path = "jsonpath={.spec.ports[0].nodePort}";
  const port = Number(await kubectl(["-n", namespace.name, "get", "service", "server", "-o", path]));
  const isConnected = (outcome: string) => outcome === "connected";
  await until(`${nodeIp}:${port} answers`, 30, () => attempt(nodeIp, port), isConnected);
  // The machine reaches the pods' network. So a refusal by the pods' gateway, below, concerns only the NodePort.
  expect(await attempt(pods.get("server") ?? "", 8080)).toBe("connected");
  for (const host of ["127.0.0.1", podCidr.replace("0/24", "1")])
    expect(await attempt(host, port)).toBe("ECONNREFUSED");
  const address = await kubectl(["-n", namespace.name, "get", "service", "server", "-o", "jsonpath={.spec.clusterIP}"]);
  await runInNode("bash", "-c", `exec 3<>/dev/tcp/${address}/8080`);
});

/** An address that is reserved for documentation, so no host has it. */
const outside = "203.0.113.1";

test("no packet of a pod leaves the machine: there is no route, even where no network policy forbids it", async () => {
  // Only the main routing table is read, because the isolation test puts a route for pods into a separate table.
  const routes = async (family: string) => {
    const list = await runInNode("ip", family, "-json", "route", "show", "table", "main");
    return JSON.parse(list) as { dst: string; dev: string }[];
  };
  expect((await routes("-4")).filter(({ dev }) => !dev.startsWith("veth"))).toMatchObject([
    { dst: machineIp, dev: "machine0" },
    { dst: serviceCidr, dev: "machine0" },
  ]);
  for (const { dst } of await routes("-6")) expect(dst).toMatch(/^(fe80::\/64|::1)$/);

  await using namespace = await TestNamespace.create();
  await namespace.startPods([{ name: "pod", script: "setInterval(() => {}, 1000)" }]);
  expect(await namespace.connect("pod", outside, 80)).toBe("ENETUNREACH");
  const query = `require("dns").promises.lookup("example.com").catch((e) => console.log(e.code))`;
  expect(await namespace.run("pod", query)).toMatch(/EAI_AGAIN|ENOTFOUND/);
});

test("a pod reaches what this machine has for it, such as the runtime in development", async () => {
  const server = createServer((socket) => socket.end()).listen(0, machineIp);
  onTestFinished(() => void server.close());
  await once(server, "listening");
  await using namespace = await TestNamespace.create();
  await namespace.startPods([{ name: "pod", script: "setInterval(() => {}, 1000)" }]);
  const { port } = server.address() as AddressInfo;
  expect(await namespace.connect("pod", machineIp, port)).toBe("connected");
});

test("no pod gets into the node's own network", async () => {
  await using namespace = await TestNamespace.create();
  const container = { name: "node", image: "any" };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "pod" },
    spec: { hostNetwork: true, containers: [container] },
  };
  await expect(namespace.apply(pod)).rejects.toThrow(/violates PodSecurity "baseline:latest": .*hostNetwork=true/);
});

test("the node can set nothing of the machine's kernel but what belongs to its own network", async () => {
  const set = (name: string) => runInNode("sh", "-c", `echo 1 >/proc/sys/${name}`);
  await expect(set("vm/overcommit_ratio")).rejects.toThrow(/Read-only file system/);
  await expect(set("fs/inotify/max_user_instances")).rejects.toThrow(/Read-only file system/);
  expect(await runInNode("cat", "/proc/sys/net/ipv4/ip_forward")).toBe("1");
});

test("an image of whatever registry is looked for in the local one only", async () => {
  await using namespace = await TestNamespace.create();
  // No registry can have this name. If containerd asked this registry, the error would be about the look-up of the name.
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
      return ""; // the process has ended meanwhile
    }
  };
  const daemons = components.map((component) => pidInNode(component));
  const ofPods = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/cgroup`).includes("kubepods"))
    .map(Number);
  expect(daemons).not.toContain(undefined);
  expect(ofPods.length).toBeGreaterThan(0);
  const lowered = [...daemons, ...ofPods].filter((pid) => Number(read(`/proc/${pid}/oom_score_adj`)) < 0);
  expect(lowered).toEqual([]);
});
