/**
 * Tests the network policies of the deployed stack `dev` with connections from real pods. The test first waits until the policies
 * apply to a pod, and then tries each closed target only once. Only a time-out counts as closed. tests/isolation.e2e.test.ts
 * tests connections from real sessions.
 */
import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { kubectlWait } from "../../local/cluster/testing.ts";
import { stackOutputs } from "../../local/pulumi/stack.ts";
import { machine } from "../../machine/machine.ts";
import { core } from "../../tests/berth.ts";
import { type Cell, commands, measure, type Outcome, type Place, targetOf } from "../../tests/proofs/attempts.ts";
import { inNetworkOf } from "../../tests/proofs/processes.ts";
import { probePod } from "../testing/probe-pod.ts";

const { dnsServiceIp, nodeIp } = machine;

/** A pod, or a pod of a workload, as a source of connection attempts. The image of the pod must contain Node.js. */
const inPod = (name: string, namespace: string, pod: string): Place & { namespace: string; pod: string } => ({
  name,
  namespace,
  pod,
  shell: (command) => kubectl(["exec", "-n", namespace, pod, "--", ...command]),
  command: commands.platform,
});

const api = inPod("API", "berth", "deploy/api");
const worker = inPod("worker", "berth", "deploy/worker");
/** Pods that look like sessions: two pods of one tenant and one pod of another. */
const acme = inPod("a session", "tenant-acme", "probe-a");
const acmeToo = inPod("another session of its tenant", "tenant-acme", "probe-b");
const globex = inPod("a session of another tenant", "tenant-globex", "probe-a");
const probes = [acme, acmeToo, globex];
const prometheus: Place = {
  name: "Prometheus",
  shell: async (command) =>
    inNetworkOf(await core.readNamespacedPod({ namespace: "berth", name: "prometheus-0" }), command),
  command: commands.machine,
};
/** The machine itself as a source. No network policy applies to it, so it reaches all pods. */
const theMachine: Place = {
  name: "the machine",
  shell: async ([program = "", ...args]) => (await execa(program, args)).stdout,
  command: commands.machine,
};

/** The addresses of the probe pods, by name. */
const addresses = new Map<string, string>();
const addressOf = ({ name }: Place) => addresses.get(name) ?? "";

beforeAll(async () => {
  const { apiImage } = await stackOutputs("dev");
  await kubectl(
    ["apply", "--server-side", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: probes.map((probe) => probePod(probe, apiImage)) }),
  );
  await Promise.all(
    probes.map(async (probe) => {
      const at = ["-n", probe.namespace, `pod/${probe.pod}`];
      await kubectlWait("condition=Ready", 90, ...at);
      addresses.set(probe.name, await kubectl(["get", ...at, "-o", "jsonpath={.status.podIP}"]));
      // For a moment, no network policy applies to a new pod.
      const cells = [open("API, for sessions", service("api"), 3002), closed("kubelet", nodeIp, 10250)];
      await until(
        `the policies hold for ${probe.name}`,
        30,
        () => measure(probe, cells),
        (outcomes) => cells.every(({ expected }, at) => outcomes[at] === expected),
      );
    }),
  );
});

afterAll(async () => {
  for (const { namespace, pod } of probes)
    await kubectl(["delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--now"]);
});

const service = (name: string) => `${name}.berth.svc.cluster.local`;
const open = (to: string, host: string, port: number): Cell => ({ to, host, port, expected: "open" });
const closed = (to: string, host: string, port: number): Cell => ({ to, host, port, expected: "timed out" });

/** The targets that each source may reach, and those that it may not reach. */
const matrix = (): [Place, Cell[]][] => {
  const [desktop, services, itsMetrics] = ["a session's desktop", "a session's services", "a session's metrics"];
  const stores = [
    open("Postgres", service("postgres"), 5432),
    open("Redis", service("redis"), 6379),
    open("Kubernetes", "kubernetes.default.svc.cluster.local", 443),
    closed("kubelet", nodeIp, 10250),
    closed(itsMetrics, addressOf(acme), 6081),
  ];
  return [
    [
      api,
      [
        ...stores,
        open(desktop, addressOf(acme), 6080),
        open(services, addressOf(acme), 6082),
        open("Prometheus", service("prometheus"), 9090),
        closed("a session's VNC", addressOf(acme), 5900),
      ],
    ],
    [
      worker,
      [
        ...stores,
        closed("Prometheus", service("prometheus"), 9090),
        closed(desktop, addressOf(acme), 6080),
        closed(services, addressOf(acme), 6082),
      ],
    ],
    [prometheus, probes.map((probe) => open(`metrics of ${probe.name}`, addressOf(probe), 6081))],
    [
      acme,
      [
        open("API, for sessions", service("api"), 3002),
        closed("API, for users", service("api"), 80),
        closed("Postgres", service("postgres"), 5432),
        closed("Redis", service("redis"), 6379),
        closed("Prometheus", service("prometheus"), 9090),
        closed("metrics adapter", service("prometheus-adapter"), 443),
        closed("Kubernetes", "kubernetes.default.svc.cluster.local", 443),
        closed("Kubernetes, node", nodeIp, 6443),
      ],
    ],
    ...[acmeToo, globex].map((place): [Place, Cell[]] => [
      place,
      [
        open("API, for sessions", service("api"), 3002),
        closed(desktop, addressOf(acme), 6080),
        closed(services, addressOf(acme), 6082),
        closed(itsMetrics, addressOf(acme), 6081),
      ],
    ]),
  ];
};

const byTarget = (cells: Cell[], outcomes: Outcome[]) =>
  Object.fromEntries(cells.map((cell, at) => [targetOf(cell), outcomes[at]]));

test.concurrent.each([api, worker, prometheus, acme, acmeToo, globex].map((place) => [place.name, place] as const))(
  "the network policies let the source `%s` reach exactly its allowed targets",
  async (_, place) => {
    const cells = new Map(matrix()).get(place) ?? [];
    expect(cells.length).toBeGreaterThan(0);
    const expected = cells.map(({ expected }) => expected);
    expect(byTarget(cells, await measure(place, cells))).toEqual(byTarget(cells, expected));
  },
);

test.concurrent("every closed target answers the machine itself", async () => {
  const dns = new Resolver();
  dns.setServers([dnsServiceIp]);
  const all = matrix().flatMap(([, cells]) => cells.filter(({ expected }) => expected !== "open"));
  const cells = await Promise.all(
    all.map(async ({ to, host, port }) => open(to, isIP(host) ? host : ((await dns.resolve4(host))[0] ?? ""), port)),
  );
  expect(byTarget(cells, await measure(theMachine, cells))).toEqual(
    byTarget(
      cells,
      cells.map(() => "open"),
    ),
  );
});

test.concurrent("Prometheus measures sessions", async () => {
  // Prometheus measures each pod every 30 s, at different times. One of the three pods is enough, because the test above checks
  // the connections to all three.
  const instances = probes.map((probe) => `${addressOf(probe)}:6081`).join("|");
  const query = encodeURIComponent(`max(up{job="sessions",instance=~"${instances}"})`);
  const path = `/api/v1/namespaces/berth/pods/prometheus-0:9090/proxy/api/v1/query?query=${query}`;
  await until(
    "Prometheus has measured a session",
    100,
    async () => (JSON.parse(await kubectl(["get", "--raw", path])) as PrometheusAnswer).data.result[0]?.value[1],
    (up) => up === "1",
  );
});

interface PrometheusAnswer {
  data: { result: { value: [number, string] }[] };
}
