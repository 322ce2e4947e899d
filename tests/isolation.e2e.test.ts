/** Who reaches whom, measured from inside real sessions, and what a session is not given. The tables are printed. */
import { request } from "node:https";
import { AuthorizationV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../local/cluster/index.ts";
import { TestNamespace } from "../local/cluster/testing.ts";
import { apiServiceIp, dnsServiceIp, nodeIp } from "../local/lib/paths.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { requestLittle } from "./bench/small-requests.ts";
import { cluster, core, inAgent, keyOf, reaches, type Session } from "./berth.ts";
import { type Cell, commands, type Outcome, type Shell, tryAll } from "./proofs/attempts.ts";
import { allowedAddress, deniedAddress, metadataAddress, openOutside } from "./proofs/outside.ts";
import { create, end, type Tenant } from "./proofs/sessions.ts";
import { printTable } from "./proofs/table.ts";
import { up } from "./pulumi.ts";

interface Place {
  name: string;
  session: Session;
  namespace: string;
  address: string;
  shell: Shell;
}

let closeOutside: (() => Promise<void>) | undefined;
let takeAway: (() => Promise<void>) | undefined;
let own: Place;
let sibling: Place;
let stranger: Place;
/** A pod without a policy of its own or around it: what it reaches is there to be reached. */
let free: TestNamespace;
const freePod: Shell = (command) => kubectl(["exec", "-n", free.name, "free", "--", ...command]);
const inBerth =
  (workload: string): Shell =>
  (command) =>
    kubectl(["exec", "-n", "berth", workload, "--", ...command]);

const minutes = 60_000;

beforeAll(async () => {
  closeOutside = await openOutside();
  const run = await up({
    change: ({ config }) => {
      for (const tenant of config["berth:tenants"])
        if (tenant.name === "acme") tenant.egress = [{ cidr: `${allowedAddress}/32`, ports: [443] }];
    },
  });
  expect(run.failed, run.output).toBe(false);
  free = await TestNamespace.create();
  const { agentImage } = await stackOutputs("dev");
  const container = { name: "free", image: agentImage, command: ["sleep", "600"] };
  await free.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "free" },
    spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [container] },
  });
  takeAway = await requestLittle(cluster, "tenant-acme"); // two of its sessions and one more may be too many for a small machine
  [own, sibling, stranger] = await Promise.all([
    start("acme's", "acme"),
    start("acme's other", "acme"),
    start("globex's", "globex"),
  ]);
  await kubectl(["wait", "--for=condition=Ready", "--timeout=90s", "-n", free.name, "pod/free"]);
}, 5 * minutes);

afterAll(async () => {
  try {
    await Promise.all(started.map(([tenant, { id }]) => end(tenant, id)));
    await free?.[Symbol.asyncDispose]();
    await closeOutside?.();
    await takeAway?.();
  } finally {
    const back = await up();
    expect(back.failed, back.output).toBe(false);
  }
}, 5 * minutes);

const started: [Tenant, Session][] = [];

async function start(name: string, tenant: Tenant): Promise<Place> {
  const made = await create(tenant);
  started.push([tenant, made]);
  const session = await reaches(keyOf(tenant), made.id, "running");
  const namespace = `tenant-${tenant}`;
  const pod = await core.readNamespacedPod({ namespace, name: `agent-${session.id}` });
  const shell: Shell = (command) => inAgent(namespace, session.id, command);
  return { name, session, namespace, address: pod.status?.podIP ?? "", shell };
}

const service = (name: string) => `${name}.berth.svc.cluster.local`;

/** What a session of acme may try. It may reach what is marked open and nothing else. */
const sessionCells = (): Cell[] => [
  ...[sibling, stranger].flatMap(({ name, address }) =>
    [5900, 6080, 6081].map((port): Cell => ({ to: `${name} session`, host: address, port, expected: "closed" })),
  ),
  { to: "API, for sessions", host: service("api"), port: 3002, expected: "open" },
  { to: "API, for users", host: service("api"), port: 80, expected: "closed" },
  { to: "API, WebSockets", host: service("api"), port: 3001, expected: "closed" },
  { to: "Postgres", host: service("postgres"), port: 5432, expected: "closed" },
  { to: "Redis", host: service("redis"), port: 6379, expected: "closed" },
  { to: "Prometheus", host: service("prometheus"), port: 9090, expected: "closed" },
  { to: "metrics adapter", host: service("prometheus-adapter"), port: 443, expected: "closed" },
  { to: "kube-apiserver, Service", host: apiServiceIp, port: 443, expected: "closed" },
  { to: "kube-apiserver, node", host: nodeIp, port: 6443, expected: "closed" },
  { to: "kubelet", host: nodeIp, port: 10250, expected: "closed" },
  { to: "node port", host: nodeIp, port: 30080, expected: "closed" },
  { to: "cloud metadata", host: metadataAddress, port: 80, expected: "closed" },
  { to: "DNS", host: dnsServiceIp, port: 53, protocol: "dns-udp", expected: "open" },
  { to: "DNS", host: dnsServiceIp, port: 53, protocol: "dns-tcp", expected: "open" },
  { to: "port 53 elsewhere", host: deniedAddress, port: 53, protocol: "dns-udp", expected: "closed" },
  { to: "port 53 elsewhere", host: deniedAddress, port: 53, protocol: "dns-tcp", expected: "closed" },
  { to: "port 53 of the allowed", host: allowedAddress, port: 53, protocol: "dns-udp", expected: "closed" },
  { to: "allowed egress", host: allowedAddress, port: 443, expected: "open" },
  { to: "allowed egress, other port", host: allowedAddress, port: 80, expected: "closed" },
  { to: "denied egress", host: deniedAddress, port: 443, expected: "closed" },
];

/** Another tenant's allow list is not one's own. */
const strangerCells = (): Cell[] => [
  { to: "acme's session", host: own.address, port: 6080, expected: "closed" },
  { to: "egress that acme is allowed", host: allowedAddress, port: 443, expected: "closed" },
  { to: "API, for sessions", host: service("api"), port: 3002, expected: "open" },
];

const desktopCells = (expected: Outcome): Cell[] => [
  { to: "desktop (6080)", host: own.address, port: 6080, expected },
  { to: "VNC (5900)", host: own.address, port: 5900, expected: "closed" },
  { to: "session's metrics (6081)", host: own.address, port: 6081, expected: "closed" },
];

test("isolation matrix: only what is meant to answer does", async () => {
  const matrix: [string, Shell, (list: string) => string[], Cell[]][] = [
    ["acme's session", own.shell, commands.session, sessionCells()],
    ["globex's session", stranger.shell, commands.session, strangerCells()],
    ["API", inBerth("deploy/api"), commands.platform, desktopCells("open")],
    ["worker", inBerth("deploy/worker"), commands.platform, desktopCells("closed")],
    ["pod of no tenant", freePod, commands.session, desktopCells("closed")],
  ];
  const measured = await Promise.all(
    matrix.map(async ([from, shell, command, cells]) => {
      // Tried again for a while, as a policy reaches a new pod a moment after its start.
      const outcomes = await vi
        .waitUntil(
          async () => {
            const found = await tryAll(shell, command, cells);
            return found.every((outcome, at) => outcome === cells[at]?.expected) ? found : false;
          },
          { timeout: 30_000, interval: 1_000 },
        )
        .catch(() => tryAll(shell, command, cells));
      return cells.map((cell, at) => ({ from, ...cell, protocol: cell.protocol ?? "tcp", measured: outcomes[at] }));
    }),
  );
  const rows = measured.flat();
  printTable(
    "who reaches whom",
    rows.map(({ from, to, port, protocol, measured, expected }) => ({
      from,
      to,
      port: `${port} ${protocol}`,
      measured: `${measured}`,
      right: measured === expected ? "yes" : `NO, must be ${expected}`,
    })),
  );
  expect(rows.filter(({ measured, expected }) => measured !== expected)).toEqual([]);
});

test("what is closed to sessions would answer: a pod that no policy holds reaches it", async () => {
  const answering = sessionCells().filter(({ to }) =>
    /^(kube|node port|cloud metadata|DNS|port 53|API, for users|API, WebSockets|allowed egress|denied egress)/.test(to),
  );
  const closed = async () => {
    const outcomes = await tryAll(freePod, commands.session, answering);
    return answering.filter((_, at) => outcomes[at] !== "open");
  };
  await expect.poll(closed, { timeout: 30_000 }).toEqual([]);
});

/** Every container has these, in memory and of its own. */
const inMemory = ["/dev/mqueue", "/dev/shm"];

/** What a container finds about itself, as JSON. */
const look = `
import json, os
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
mounts = [line.split()[1] for line in open("/proc/self/mounts")]
def writable(folder):
    try:
        path = os.path.join(folder, ".berth-proof")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY)); os.unlink(path); return True
    except OSError: return False
folders = set(mounts) | {"/", "/etc", "/usr/local/bin", "/root", "/home/agent", "/var/tmp", "/run"}
print(json.dumps({
    "capabilities": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "noNewPrivileges": status["NoNewPrivs"], "seccomp": status["Seccomp"], "ids": status["Uid"].split() + status["Gid"].split(),
    "token": os.path.exists("/var/run/secrets/kubernetes.io"), 
    "writable": sorted(folder for folder in folders if writable(folder)),
    "setuid": [path for top in ("/usr", "/bin", "/sbin", "/opt") for at, _, files in os.walk(top) for path in (os.path.join(at, file) for file in files)
        if not os.path.islink(path) and os.stat(path).st_mode & 0o6000],
}))`;

test.each(["agent", "vnc-proxy"])(
  "a session's container %s has no token, no capability, no writable root",
  async (container) => {
    const { namespace, session } = own;
    const facts = JSON.parse(
      await kubectl(["exec", "-n", namespace, `agent-${session.id}`, "-c", container, "--", "python3", "-c", look]),
    );
    console.log(`${container}: ${JSON.stringify(facts, null, 1)}`);
    expect(facts).toEqual({
      capabilities: Array(5).fill("0000000000000000"),
      noNewPrivileges: "1",
      seccomp: "2",
      ids: Array(8).fill("10001"),
      token: false,
      writable: [...inMemory, ...(container === "agent" ? ["/home/agent/workspace"] : []), "/tmp"],
      setuid: [],
    });
  },
);

test("a session's pod has nothing of its node: no path, no namespace, no port", async () => {
  const { spec } = await core.readNamespacedPod({ namespace: own.namespace, name: `agent-${own.session.id}` });
  const kinds = (spec?.volumes ?? []).map(({ name: _, ...kind }) => Object.keys(kind)[0]);
  expect(new Set(kinds)).toEqual(new Set(["persistentVolumeClaim", "emptyDir", "secret"]));
  expect([spec?.hostNetwork, spec?.hostPID, spec?.hostIPC]).toEqual([undefined, undefined, undefined]);
  expect(spec?.automountServiceAccountToken).toBe(false);
  expect(
    (spec?.containers ?? []).flatMap(({ ports = [] }) => ports.map(({ hostPort }) => hostPort ?? "none")),
  ).not.toContainEqual(expect.any(Number));
});

test("a tenant's key gets nothing from the Kubernetes API, and a session's identity has no rights", async () => {
  const namespace = own.namespace;
  for (const [method, path] of [
    ["GET", "/api/v1/namespaces"],
    ["GET", `/api/v1/namespaces/${namespace}/pods`],
    ["GET", `/api/v1/namespaces/${namespace}/secrets`],
    ["POST", `/api/v1/namespaces/${namespace}/pods`],
    ["POST", `/api/v1/namespaces/${namespace}/pods/agent-${own.session.id}/exec?command=id`],
  ] as const)
    expect(await askKubernetes(method, path, keyOf("acme")), `${method} ${path}`).toBe(401);
  const rights = cluster.makeApiClient(AuthorizationV1Api);
  for (const what of ["create pods", "list pods", "get secrets", "get configmaps", "list namespaces"]) {
    const [verb = "", resource = ""] = what.split(" ");
    const { status } = await rights.createSubjectAccessReview({
      body: {
        spec: {
          user: `system:serviceaccount:${namespace}:agent-runner`,
          groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
          resourceAttributes: { namespace, verb, resource },
        },
      },
    });
    expect(status?.allowed, what).toBe(false);
  }
});

/** The status with which the Kubernetes API answers whoever has the key. */
function askKubernetes(method: string, path: string, key: string): Promise<number | undefined> {
  const { server = "", caData = "" } = cluster.getCurrentCluster() ?? {};
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    request(`${server}${path}`, { method, headers, ca: Buffer.from(caData, "base64") }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
