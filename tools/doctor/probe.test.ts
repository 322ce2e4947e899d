/** Tests the objects that the doctor makes, and the programs in them. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { podSecurityVersion } from "../../infra/kubernetes/security.ts";
import { freePorts } from "../../runtime/src/testing/ports.ts";
import { platformGround, sessionGrounds } from "./grounds.ts";
import { interruption, poll } from "./poll.ts";
import {
  attemptsOf,
  ciliumPolicies,
  claim,
  nodeImage,
  policies,
  probeJob,
  reasonOf,
  type Setting,
  target,
  writeJob,
} from "./probe.ts";
import { handshakeOf } from "./session-trial.ts";
import { config, outputs } from "./testing.ts";

const image = { image: "node", node: "node" };
const digest = `sha256:${"0".repeat(64)}`;

test("the probes run the stack's own image if there is one for the nodes, else the base image with Node", () => {
  const imageOf = (values: Record<string, unknown>, made = false) => {
    const stack = config(values);
    const [ground = platformGround(stack)] = sessionGrounds(stack);
    return nodeImage(stack, made ? outputs : undefined, ground);
  };
  const base = { image: expect.stringMatching(/node:24.*@sha256:/), node: "node" };
  expect(imageOf({}, true)).toEqual({ image: outputs.apiImage, node: "/nodejs/bin/node" });
  const api = `ghcr.io/acme/berth/api@${digest}`;
  expect(imageOf({ images: { api } }).image).toBe(api);
  expect(imageOf({})).toMatchObject(base);
  expect(imageOf({ baseRegistry: "127.0.0.1:5000" }).image).toBe(
    "127.0.0.1:5000/docker.io/library/node:24-bookworm-slim",
  );
  // The stack's own image is for arm64.
  expect(imageOf({ placement: { sessions: { architecture: "amd64" } } }, true)).toMatchObject(base);
  expect(imageOf({ placement: { sessions: { architecture: "any" } } }, true).image).toBe(outputs.apiImage);
});

const setting = (values: Record<string, unknown> = {}): Setting => ({
  image,
  pullSecrets: ["registry-login"],
  ground: platformGround(config(values)),
});

test("every pod is restricted, has no token, and ends by itself", () => {
  const attempts = attemptsOf({ open: "10.0.0.1", closed: "10.0.0.2" });
  const jobs = [probeJob("session-1", "session", attempts.session, setting()), writeJob(setting())];
  for (const { spec } of jobs) expect(spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 180 });
  const specs = [target("open", setting()).spec, ...jobs.map(({ spec }) => spec?.template.spec)];
  for (const spec of specs)
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      containers: [{ securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } } }],
    });
  expect(podSecurityVersion).toMatch(/^v1\./);
});

test("every pod has the pull secrets, and runs on the nodes of the pods for which it stands", () => {
  const tolerations = [{ key: "dedicated", operator: "Exists" }];
  const placed = setting({ placement: { platform: { nodeSelector: { pool: "berth" }, tolerations } } });
  const attempts = attemptsOf({ open: "10.0.0.1", closed: "10.0.0.2" });
  const specs = [
    target("closed", placed).spec,
    ...[probeJob("worker", "worker", attempts.worker, placed), writeJob(placed)].map(({ spec }) => spec?.template.spec),
  ];
  for (const spec of specs)
    expect(spec).toMatchObject({
      imagePullSecrets: [{ name: "registry-login" }],
      nodeSelector: { pool: "berth", "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" },
      tolerations,
    });
});

test("the worker's probe may reach the addresses of the Kubernetes API that the stack opens", () => {
  const stack = config({ kubernetesApi: [{ cidr: "10.0.0.0/24", port: 443 }] });
  expect(policies(stack).find(({ metadata }) => metadata?.name === "api-egress")?.spec?.egress).toEqual([
    { to: [{ ipBlock: { cidr: "10.0.0.0/24" } }], ports: [{ protocol: "TCP", port: 443 }] },
  ]);
});

test("for Cilium, the probes also have the policies that open the API server and a DNS cache on the node", () => {
  const network = { policies: "cilium", dns: [{ namespace: "kube-system" }, { cidr: "169.254.20.10/32" }] };
  const made = ciliumPolicies(config({ network }));
  const roleOf = ({ endpointSelector }: (typeof made)[string]) => Object.values(endpointSelector.matchLabels);
  expect(Object.entries(made).map(([name, spec]) => [name, roleOf(spec), spec.egress[0]?.toEntities])).toEqual([
    ["allow-dns-of-session", ["session"], ["host"]],
    ["allow-dns-of-worker", ["worker"], ["host"]],
    ["worker-kubernetes", ["worker"], ["kube-apiserver"]],
  ]);
  expect(made["worker-kubernetes"]?.egress[0]?.toPorts).toEqual([{ ports: [{ port: "6443", protocol: "TCP" }] }]);
  expect(ciliumPolicies(config())).toEqual({});
});

test("a volume claim names a StorageClass only if the config does", () => {
  expect(claim("fast").spec).toMatchObject({ storageClassName: "fast" });
  expect(claim(null).spec).not.toHaveProperty("storageClassName");
});

/** Lets the server listen on a free port, and returns the port. */
const listen = async (server: Server): Promise<number> => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
};

/** Runs the probe's program as its pod does, and returns the outcomes. @param seconds see `probeJob` */
async function outcomesOf(attempts: Parameters<typeof probeJob>[2], seconds: number): Promise<string[]> {
  const job = probeJob("free", "free", attempts, setting(), seconds);
  const [, ...args] = job.spec?.template.spec?.containers[0]?.command ?? [];
  const { stdout } = await execa(process.execPath, args);
  return JSON.parse(stdout);
}

test("the probe's program reports what it reaches, what refuses, and which names resolve", async () => {
  const [server, closed] = [createServer((socket) => socket.end()), createServer()];
  onTestFinished(() => void server.close());
  const [port, free] = [await listen(server), await listen(closed)];
  await new Promise((done) => closed.close(done));
  const attempts = [
    { host: "127.0.0.1", port, want: "open" },
    { host: "127.0.0.1", port: free, want: "blocked" },
    { host: "localhost", want: "open" },
  ];
  expect(await outcomesOf(attempts, 1)).toEqual(["open", "blocked", "open"]);
});

/** Returns two servers that do not listen yet, their free ports, and the attempts for a target with these ports. */
async function targetOf() {
  const [open, closed] = [createServer((socket) => socket.end()), createServer((socket) => socket.end())];
  onTestFinished(() => void [open, closed].map((server) => server.close()));
  const [openPort = 0, closedPort = 0] = await freePorts(2);
  const host = "127.0.0.1";
  const attempts = [
    { host, port: openPort, want: "open" },
    { host, port: closedPort, want: "blocked" },
  ];
  const start = async () => {
    await once(closed.listen(closedPort, host), "listening");
    await once(open.listen(openPort, host), "listening");
  };
  return { open, attempts, start };
}

test("a port of a target that listens late is not taken for one that a policy closes", async () => {
  const { attempts, start } = await targetOf();
  const other = createServer((socket) => socket.end());
  onTestFinished(() => void other.close());
  const first = { host: "127.0.0.1", port: await listen(other), want: "open" } as const;
  const outcomes = outcomesOf([first, ...attempts], 5);
  await once(other, "connection"); // the program makes its attempts
  await sleep(1000); // the target's delay
  await start();
  expect(await outcomes).toEqual(["open", "open", "open"]);
});

test("if the target ends while its ports are tried, its open port is not open at the end", async () => {
  const { open, attempts, start } = await targetOf();
  await start();
  open.once("connection", () => open.close());
  expect(await outcomesOf(attempts, 3)).toEqual(["blocked", "open"]);
});

test("a target listens on both ports", async () => {
  const program = target("open", setting()).spec?.containers[0]?.command?.at(-1) ?? "";
  const [open = 0, closed = 0] = await freePorts(2);
  const moved = program.replace("8080", String(closed)).replace("8081", String(open));
  const running = execa(process.execPath, ["-e", moved], { reject: false });
  onTestFinished(() => void running.kill());
  const attempts = [open, closed].map((port) => ({ host: "127.0.0.1", port, want: "open" }));
  expect(await outcomesOf(attempts, 10)).toEqual(["open", "open"]);
});

test.each([
  [
    "an image that can't be pulled",
    { containerStatuses: [{ state: { waiting: { reason: "ErrImagePull", message: "no" } } }] },
    "ErrImagePull: no",
  ],
  ["a pod that begins", { containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } } }] }, ""],
  [
    "a pod without a node",
    { conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" }] },
    "Unschedulable: 0/1 nodes",
  ],
])("the reason of %s", (_, status, reason) => {
  expect(reasonOf({ status } as never)).toBe(reason);
});

test("a wait ends with what it waited for, and why; an interruption ends it at once", async () => {
  const waits = async () => ({ waitsFor: "the pod doesn't run", because: "ErrImagePull" });
  await expect(poll(0, waits)).rejects.toThrow("the pod doesn't run after 0 s: ErrImagePull");
  const interrupted = AbortSignal.abort();
  await expect(poll(60, waits, interrupted)).rejects.toThrow("interrupted");
  expect(await poll(60, async () => ({ done: 7 }), interrupted)).toBe(7);
  expect(interruption.signal.aborted).toBe(false);
});

test("the desktop's size follows from the handshake, however its bytes arrive", () => {
  const bytes = [Buffer.from("RFB 003.008\n"), Buffer.from([2, 1, 2]), Buffer.alloc(4), Buffer.from([5, 0, 3, 32, 0])];
  for (const pieces of [bytes, [Buffer.concat(bytes)], [...Buffer.concat(bytes)].map((byte) => Buffer.from([byte]))]) {
    const sent: Uint8Array[] = [];
    const handshake = handshakeOf((answer) => sent.push(answer));
    const sizes = pieces.map((piece) => handshake(piece)).filter((size) => size !== undefined);
    expect(sizes[0]).toEqual([1280, 800]);
    expect(sent.map((answer) => Buffer.from(answer).toString("latin1"))).toEqual(["RFB 003.008\n", "\x01", "\x01"]);
  }
});
