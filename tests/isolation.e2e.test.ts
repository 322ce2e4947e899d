/**
 * Measures which addresses real sessions and pods of the platform reach, and which permissions sessions lack. The attempts
 * are made from inside the pods. The test prints the results.
 */
import { request } from "node:https";
import { until } from "@berth/testing/until.ts";
import { AuthorizationV1Api, type V1Pod } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probePod } from "../infra/testing/probe-pod.ts";
import { kubectl } from "../local/cluster/kubectl.ts";
import { kubectlWait, TestNamespace } from "../local/cluster/testing.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { machine } from "../machine/machine.ts";
import { requestLittle } from "./bench/small-requests.ts";
import { cluster, core, inAgent, keyOf, reaches, type Session } from "./berth.ts";
import { type Cell, commands, measure, type Place, targetOf } from "./proofs/attempts.ts";
import { allowedAddress, deniedAddress, metadataAddress, openOutside } from "./proofs/outside.ts";
import { inNetworkOf } from "./proofs/processes.ts";
import { create, end, type Tenant } from "./proofs/sessions.ts";
import { printTable } from "./proofs/table.ts";

const { apiServiceIp, dnsServiceIp, nodeIp } = machine;

/** A session in which the test attempts connections, and which the test tries to reach from other pods. */
interface SessionPlace extends Place {
  session: Session;
  namespace: string;
  address: string;
}

const cleanUp = new AsyncDisposableStack();
let own: SessionPlace;
let sibling: SessionPlace;
let stranger: SessionPlace;
/** A pod to which no network policy applies. An address that this pod reaches is reachable in principle. */
let free: Place;
/** When all sessions ran, in milliseconds of `performance.now()`. */
let allRanAt: number;

beforeAll(async () => {
  cleanUp.defer(await openOutside());
  cleanUp.defer(await requestLittle(cluster, "tenant-acme")); // a small machine may not have space for these sessions
  [[own, sibling, stranger], free] = await Promise.all([
    Promise.all([start("acme's session", "acme"), start("acme's other", "acme"), start("globex's session", "globex")]),
    startFree(),
  ]);
  allRanAt = performance.now();
});

afterAll(() => cleanUp.disposeAsync());

async function start(name: string, tenant: Tenant): Promise<SessionPlace> {
  const made = await create(tenant);
  cleanUp.defer(() => end(tenant, made.id));
  const session = await reaches(keyOf(tenant), made.id, "running");
  const namespace = `tenant-${tenant}`;
  const pod = await core.readNamespacedPod({ namespace, name: `agent-${session.id}` });
  const place = {
    name,
    shell: (command: string[]) => inAgent(namespace, session.id, command),
    command: commands.session,
  };
  return { ...place, session, namespace, address: pod.status?.podIP ?? "" };
}

async function startFree(): Promise<Place> {
  const namespace = cleanUp.use(await TestNamespace.create());
  const { agentImage } = await stackOutputs("dev");
  const container = { name: "free", image: agentImage, command: ["sleep", "1200"] };
  await namespace.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "free" },
    spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [container] },
  });
  const at = ["-n", namespace.name];
  await kubectlWait("condition=Ready", 90, ...at, "pod/free");
  return {
    name: "pod of no tenant",
    shell: (command) => kubectl(["exec", ...at, "free", "--", ...command]),
    command: commands.session,
  };
}

/** A pod of the platform whose image contains Node.js. */
const withNode = (name: string, workload: string): Place => ({
  name,
  shell: (command) => kubectl(["exec", "-n", "berth", workload, "--", ...command]),
  command: commands.platform,
});

/**
 * A pod of the platform whose image has no program for the attempts. So the Node.js of this machine makes the attempts, in
 * the pod's network namespace.
 */
const withoutNode = (name: string, pod: V1Pod): Place => ({
  name,
  shell: (command) => inNetworkOf(pod, command),
  command: commands.machine,
});

/** Returns the only pod of a component of the platform. */
async function podOf(component: string): Promise<V1Pod> {
  const { items } = await core.listNamespacedPod({
    namespace: "berth",
    labelSelector: `app.kubernetes.io/name=${component}`,
  });
  const pod = items.find(({ status }) => status?.phase === "Running");
  if (pod === undefined) throw new Error(`no pod of ${component} runs`);
  return pod;
}

const service = (name: string) => `${name}.berth.svc.cluster.local`;

/**
 * An attempt to reach a port of a session from another pod. VNC's own port is not among these ports, because VNC listens only
 * inside the session's pod. Another test checks this.
 */
const sessionPort = ({ name, address }: SessionPlace, port: 6080 | 6081 | 6082, expected: Cell["expected"]): Cell => ({
  to: name,
  host: address,
  port,
  expected,
});

/** The connections that a session of acme attempts. Only connections marked as open may succeed. */
const sessionCells = (): Cell[] => [
  ...[sibling, stranger].flatMap((session) => [
    sessionPort(session, 6080, "timed out"),
    sessionPort(session, 6081, "timed out"),
    sessionPort(session, 6082, "timed out"),
  ]),
  { to: "API, for sessions", host: service("api"), port: 3002, expected: "open" },
  { to: "API, for users", host: service("api"), port: 80, expected: "timed out" },
  { to: "API, WebSockets", host: service("api"), port: 3001, expected: "timed out" },
  { to: "API, sessions' ports", host: service("gateway"), port: 3003, expected: "timed out" },
  { to: "Postgres", host: service("postgres"), port: 5432, expected: "timed out" },
  { to: "Redis", host: service("redis"), port: 6379, expected: "timed out" },
  { to: "Prometheus", host: service("prometheus"), port: 9090, expected: "timed out" },
  { to: "metrics adapter", host: service("prometheus-adapter"), port: 443, expected: "timed out" },
  { to: "kube-apiserver, Service", host: apiServiceIp, port: 443, expected: "timed out" },
  { to: "kube-apiserver, node", host: nodeIp, port: 6443, expected: "timed out" },
  { to: "kubelet", host: nodeIp, port: 10250, expected: "timed out" },
  { to: "node port", host: nodeIp, port: machine.apiNodePort, expected: "timed out" },
  { to: "cloud metadata", host: metadataAddress, port: 80, expected: "timed out" },
  { to: "DNS", host: dnsServiceIp, port: 53, protocol: "dns-udp", expected: "open" },
  { to: "DNS", host: dnsServiceIp, port: 53, protocol: "dns-tcp", expected: "open" },
  { to: "port 53 elsewhere", host: deniedAddress, port: 53, protocol: "dns-udp", expected: "timed out" },
  { to: "port 53 elsewhere", host: deniedAddress, port: 53, protocol: "dns-tcp", expected: "timed out" },
  { to: "port 53 of the allowed", host: allowedAddress, port: 53, protocol: "dns-udp", expected: "timed out" },
  { to: "allowed egress", host: allowedAddress, port: 443, expected: "open" },
  { to: "allowed egress, other port", host: allowedAddress, port: 80, expected: "timed out" },
  { to: "denied egress", host: deniedAddress, port: 443, expected: "timed out" },
];

/** The connections that a session of globex attempts. acme's allow list does not apply to globex. */
const strangerCells = (): Cell[] => [
  sessionPort(own, 6080, "timed out"),
  { to: "allowed egress", host: allowedAddress, port: 443, expected: "timed out" },
  { to: "API, for sessions", host: service("api"), port: 3002, expected: "open" },
];

/**
 * The targets that a pod without network policies reaches, because no policy of the targets restricts their callers. Some of
 * these targets are closed to sessions, because the policies of the sessions deny the connections.
 */
const freeCells = (): Cell[] =>
  sessionCells()
    .filter(({ to }) =>
      /^(kube|node port|cloud metadata|DNS|port 53|API, for users|API, WebSockets|API, sessions' ports|metrics adapter|allowed|denied)/.test(
        to,
      ),
    )
    .map((cell) => ({ ...cell, expected: "open" }));

/**
 * Connects to the address repeatedly, until 20 attempts in a row have timed out or 30 s have passed. Prints how many
 * attempts were successful, how many of the latest attempts timed out, and the time of the last successful attempt.
 */
const knock = (host: string, port: number) => `
  const began = performance.now();
  const found = { lastOpenMs: 0, open: 0, timedOut: 0 };
  const attempt = () => new Promise((done, fail) => {
    const socket = require("net").connect({ host: "${host}", port: ${port}, timeout: 100 }, () => { socket.destroy(); done(true); });
    // If this process did not run for 100 ms, a response may be waiting unread. The process reads it before it counts a
    // time-out.
    socket.on("timeout", () => setImmediate(() => { socket.destroy(); done(false); })).on("error", fail);
  });
  (async () => {
    while (found.timedOut < 20 && performance.now() - began < 30_000) {
      if (await attempt()) Object.assign(found, { lastOpenMs: performance.now() - began, open: found.open + 1, timedOut: 0 });
      else found.timedOut += 1;
    }
    console.log(JSON.stringify(found));
  })();`;

test("network policies apply to a new session's pod within 5 s after its first program has started", async () => {
  const { apiImage } = await stackOutputs("dev");
  const place = { namespace: "tenant-acme", pod: "isolation-window" };
  const pod = probePod(place, apiImage);
  const [container] = pod.spec.containers;
  const body = {
    ...pod,
    spec: { ...pod.spec, restartPolicy: "Never", containers: [{ ...container, args: ["-e", knock(nodeIp, 6443)] }] },
  };
  const at = ["-n", place.namespace];
  // The test deletes its pod, so that the test can be repeated.
  await using removal = new AsyncDisposableStack();
  removal.defer(async () => void (await kubectl(["delete", "pod", place.pod, ...at, "--ignore-not-found", "--now"])));
  await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(body));
  await kubectlWait("jsonpath={.status.phase}=Succeeded", 90, ...at, `pod/${place.pod}`);
  const found = JSON.parse(await kubectl(["logs", ...at, place.pod])) as Record<
    "lastOpenMs" | "open" | "timedOut",
    number
  >;
  console.log(
    `a new pod reached the Kubernetes API ${found.open} times, the last time ${Math.round(found.lastOpenMs)} ms after its start`,
  );
  expect(found.timedOut).toBe(20);
  expect(found.lastOpenMs).toBeLessThanOrEqual(5_000);
});

/** The test begins when the sessions are older than the 5 s in which policies may not apply yet. */
test("isolation matrix: only allowed connections succeed, and every closed target is open to another caller", async () => {
  await until("the sessions are older than 5 s", 10, () => performance.now() - allRanAt > 5_000);
  const [prometheus, adapter] = await Promise.all([podOf("prometheus"), podOf("prometheus-adapter")]);
  const sessions = [own, sibling, stranger];
  const matrix: [Place, Cell[]][] = [
    [own, sessionCells()],
    [stranger, strangerCells()],
    [
      withNode("API", "deploy/api"),
      [
        ...sessions.flatMap((session) => [sessionPort(session, 6080, "open"), sessionPort(session, 6082, "open")]),
        sessionPort(own, 6081, "timed out"),
        { to: "Postgres", host: service("postgres"), port: 5432, expected: "open" },
        { to: "Redis", host: service("redis"), port: 6379, expected: "open" },
      ],
    ],
    [
      withNode("worker", "deploy/worker"),
      ([6080, 6081, 6082] as const).map((port) => sessionPort(own, port, "timed out")),
    ],
    [
      withoutNode("Prometheus", prometheus),
      [...sessions.map((session) => sessionPort(session, 6081, "open")), sessionPort(own, 6082, "timed out")],
    ],
    [
      withoutNode("metrics adapter", adapter),
      [{ to: "Prometheus", host: prometheus.status?.podIP ?? "", port: 9090, expected: "open" }],
    ],
    [free, [...([6080, 6081, 6082] as const).map((port) => sessionPort(own, port, "timed out")), ...freeCells()]],
  ];
  const rows = (
    await Promise.all(
      matrix.map(async ([place, cells]) => {
        const outcomes = await measure(place, cells);
        return cells.map((cell, at) => ({ from: place.name, cell, measured: outcomes[at] ?? "" }));
      }),
    )
  ).flat();
  printTable(
    "who reaches whom",
    rows.map(({ from, cell, measured }) => ({
      from,
      to: cell.to,
      port: `${cell.port} ${cell.protocol ?? "tcp"}`,
      measured,
      right: measured === cell.expected ? "yes" : `NO, must be ${cell.expected}`,
    })),
  );
  expect(rows.filter(({ cell, measured }) => measured !== cell.expected)).toEqual([]);
  // A time-out shows that policies close a target only if the target answers another caller. Otherwise it is possible that
  // nothing listens there.
  const answering = new Set(rows.filter(({ measured }) => measured === "open").map(({ cell }) => targetOf(cell)));
  expect(rows.map(({ cell }) => targetOf(cell)).filter((target) => !answering.has(target))).toEqual([]);
});

test("VNC itself listens only inside its pod, and other pods reach only the ports of the desktop, metrics and berthd's services", async () => {
  const table = await own.shell(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
  // Column 2 is the address and port in hexadecimal digits. Column 4 is the state, and 0A means "listens".
  const listening = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map(([, local = ""]) => local.split(":") as [string, string]);
  const loopback = ["0100007F", "00000000000000000000000001000000"]; // 127.0.0.1 and ::1 in the machine's byte order
  const ports = (isLoopback: boolean) =>
    listening
      .filter(([address]) => loopback.includes(address) === isLoopback)
      .map(([, port]) => Number.parseInt(port, 16));
  expect(ports(true)).toContain(5900);
  expect(new Set(ports(false))).toEqual(new Set([6080, 6081, 6082]));
});

/** Mounts that every container has, in memory and not shared. */
const inMemory = ["/dev/mqueue", "/dev/shm"];

/** A script that prints facts about its container as JSON. */
const script = `
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

test("the agent container has no service account token, no capabilities and no writable root file system", async () => {
  const { namespace, session } = own;
  const facts = JSON.parse(
    await kubectl(["exec", "-n", namespace, `agent-${session.id}`, "-c", "agent", "--", "python3", "-c", script]),
  );
  console.log(JSON.stringify(facts, null, 1));
  expect(facts).toEqual({
    capabilities: Array(5).fill("0000000000000000"),
    noNewPrivileges: "1",
    seccomp: "2",
    ids: Array(8).fill("10001"),
    token: false,
    writable: [...inMemory, "/home/agent/workspace", "/tmp"],
    setuid: [],
  });
});

test("the container vnc-proxy contains no other program that could run, and no writable file", async () => {
  const { namespace, session } = own;
  const name = `agent-${session.id}`;
  for (const program of ["sh", "python3", "cat"])
    await expect(kubectl(["exec", "-n", namespace, name, "-c", "vnc-proxy", "--", program])).rejects.toThrow(
      /not found|no such file/,
    );
  const [proxy] = (await core.readNamespacedPod({ namespace, name })).spec?.initContainers ?? [];
  expect(proxy).toMatchObject({
    name: "vnc-proxy",
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  });
  expect(proxy?.volumeMounts?.map(({ mountPath, readOnly }) => [mountPath, readOnly])).toEqual([
    ["/etc/berth/tokens", true],
  ]);
});

test("a session's pod uses no path, no namespace and no port of its node", async () => {
  const { spec } = await core.readNamespacedPod({ namespace: own.namespace, name: `agent-${own.session.id}` });
  const kinds = (spec?.volumes ?? []).map(({ name: _, ...kind }) => Object.keys(kind)[0]);
  expect(new Set(kinds)).toEqual(new Set(["persistentVolumeClaim", "emptyDir", "secret"]));
  expect([spec?.hostNetwork, spec?.hostPID, spec?.hostIPC]).toEqual([undefined, undefined, undefined]);
  expect(spec?.automountServiceAccountToken).toBe(false);
  expect(
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].flatMap(({ ports = [] }) =>
      ports.map(({ hostPort }) => hostPort ?? "none"),
    ),
  ).not.toContainEqual(expect.any(Number));
});

test("a tenant's key gives no access to the Kubernetes API, and a session's service account has no permissions", async () => {
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

/** Returns the status with which the Kubernetes API answers a request with this key. */
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
