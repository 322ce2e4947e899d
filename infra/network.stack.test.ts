/** Who reaches whom on the deployed stack `dev`, tried from real pods. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../local/cluster/index.ts";
import { nodeIp } from "../local/lib/paths.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { type Place, probePod } from "./testing/probe-pod.ts";

const api: Place = { namespace: "berth", pod: "deploy/api" };
const worker: Place = { namespace: "berth", pod: "deploy/worker" };
/** Pods that look like sessions: two of one tenant, one of another. */
const acme: Place = { namespace: "tenant-acme", pod: "probe-a" };
const acmeToo: Place = { namespace: "tenant-acme", pod: "probe-b" };
const globex: Place = { namespace: "tenant-globex", pod: "probe-a" };
const probes = [acme, acmeToo, globex];

beforeAll(async () => {
  const { apiImage } = await stackOutputs("dev");
  await kubectl(
    ["apply", "--server-side", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: probes.map((probe) => probePod(probe, apiImage)) }),
  );
  for (const { namespace, pod } of probes)
    await kubectl(["wait", "--for=condition=Ready", "--timeout=90s", "-n", namespace, `pod/${pod}`]);
}, 120_000);

afterAll(async () => {
  for (const { namespace, pod } of probes)
    await kubectl(["delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--now"]);
}, 60_000);

const addressOf = ({ namespace, pod }: Place) =>
  kubectl(["get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIP}"]);

/** The value of the query in Prometheus, which is asked through the API server. */
async function prometheus(query: string): Promise<string | undefined> {
  const path = `/api/v1/namespaces/berth/pods/prometheus-0:9090/proxy/api/v1/query?query=${encodeURIComponent(query)}`;
  const answer = JSON.parse(await kubectl(["get", "--raw", path])) as {
    data: { result: { value: [number, string] }[] };
  };
  return answer.data.result[0]?.value[1];
}

/** "open", "closed", or the error of looking up the name. */
function attempt({ namespace, pod }: Place, host: string, port: number): Promise<string> {
  const script = `
    const end = (what) => { console.log(what); process.exit(); };
    const socket = require("net").connect({ host: "${host}", port: ${port}, timeout: 2000 }, () => end("open"));
    socket.on("timeout", () => end("closed")).on("error", (error) => end(error.syscall === "connect" ? "closed" : error.code));`;
  return kubectl(["exec", "-n", namespace, pod, "--", "/nodejs/bin/node", "-e", script]);
}

/** Tried again for a while, as a policy reaches a new pod a moment after its start. */
const expectReach = (from: Place, host: string, port: number, result: "open" | "closed") =>
  vi.waitFor(async () => expect(await attempt(from, host, port)).toBe(result), { timeout: 20_000, interval: 500 });

test.concurrent.each<[string, Place, string, number, "open" | "closed"]>([
  ["api → postgres", api, "postgres", 5432, "open"],
  ["api → redis", api, "redis", 6379, "open"],
  ["api → Kubernetes", api, "kubernetes.default", 443, "open"],
  ["api → the machine's registry", api, nodeIp, 5000, "closed"],
  ["worker → postgres", worker, "postgres", 5432, "open"],
  ["worker → redis", worker, "redis", 6379, "open"],
  ["worker → Kubernetes", worker, "kubernetes.default", 443, "open"],
  ["worker → the machine's registry", worker, nodeIp, 5000, "closed"],
  ["api → prometheus", api, "prometheus", 9090, "closed"],
  ["session → prometheus", acme, "prometheus.berth.svc.cluster.local", 9090, "closed"],
  ["session → the adapter", acme, "prometheus-adapter.berth.svc.cluster.local", 443, "closed"],
  ["session → the API's port for sessions", acme, "api.berth.svc.cluster.local", 3002, "open"],
  ["session of another tenant → the same", globex, "api.berth.svc.cluster.local", 3002, "open"],
  ["session → the API's port for users", acme, "api.berth.svc.cluster.local", 80, "closed"],
  ["session → Kubernetes", acme, "kubernetes.default.svc.cluster.local", 443, "closed"],
  ["session → postgres", acme, "postgres.berth.svc.cluster.local", 5432, "closed"],
  ["session → redis", acme, "redis.berth.svc.cluster.local", 6379, "closed"],
  ["session → cloud metadata", acme, "169.254.169.254", 80, "closed"],
  ["session → the machine", acme, nodeIp, 6443, "closed"],
])("%s", async (_, from, host, port, result) => {
  await expectReach(from, host, port, result);
});

test.concurrent("a session's desktop is for the API alone", async () => {
  const address = await addressOf(acme);
  await expectReach(api, address, 6080, "open");
  await expectReach(api, address, 5900, "closed");
  await expectReach(worker, address, 6080, "closed");
});

test.concurrent("a session's metrics are for Prometheus alone", async () => {
  const address = await addressOf(acme);
  const query = `up{job="sessions",instance="${address}:6081"}`;
  await vi.waitFor(async () => expect(await prometheus(query)).toBe("1"), { timeout: 100_000, interval: 2_000 });
  await expectReach(api, address, 6081, "closed");
  await expectReach(worker, address, 6081, "closed");
});

test.concurrent("sessions don't reach each other, neither another tenant's nor their own", async () => {
  const address = await addressOf(acme);
  for (const port of [6080, 6081]) {
    await expectReach(acmeToo, address, port, "closed");
    await expectReach(globex, address, port, "closed");
  }
});
