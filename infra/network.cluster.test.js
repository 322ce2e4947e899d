/** Who reaches whom on the deployed stack `dev`, tried from real pods. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../local/cluster/index.ts";
import { nodeIp } from "../local/lib/paths.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
const api = { namespace: "berth", pod: "deploy/api" };
const worker = { namespace: "berth", pod: "deploy/worker" };
/** Pods that look like sessions: two of one tenant, one of another. */
const acme = { namespace: "tenant-acme", pod: "probe-a" };
const acmeToo = { namespace: "tenant-acme", pod: "probe-b" };
const globex = { namespace: "tenant-globex", pod: "probe-a" };
const probes = [acme, acmeToo, globex];
beforeAll(async () => {
    const { apiImage } = await stackOutputs("dev");
    await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: probes.map((probe) => probePod(probe, apiImage)) }));
    for (const { namespace, pod } of probes)
        await kubectl(["wait", "--for=condition=Ready", "--timeout=90s", "-n", namespace, `pod/${pod}`]);
}, 120_000);
afterAll(async () => {
    for (const { namespace, pod } of probes)
        await kubectl(["delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--now"]);
}, 60_000);
/** A pod that listens on a session's ports and serves as a place to try from. */
const probePod = ({ namespace, pod }, image) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod, namespace, labels: { "app.kubernetes.io/component": "session" } },
    spec: {
        activeDeadlineSeconds: 300,
        automountServiceAccountToken: false,
        securityContext: {
            runAsNonRoot: true,
            runAsUser: 10001,
            runAsGroup: 10001,
            seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
            {
                name: "probe",
                image,
                args: ["-e", 'for (const port of [6080, 5900]) require("net").createServer((s) => s.end()).listen(port)'],
                resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "200m", memory: "128Mi" } },
                securityContext: {
                    allowPrivilegeEscalation: false,
                    readOnlyRootFilesystem: true,
                    capabilities: { drop: ["ALL"] },
                },
            },
        ],
    },
});
const addressOf = ({ namespace, pod }) => kubectl(["get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIP}"]);
/** "open", "closed", or the error of looking up the name. */
function attempt({ namespace, pod }, host, port) {
    const script = `
    const end = (what) => { console.log(what); process.exit(); };
    const socket = require("net").connect({ host: "${host}", port: ${port}, timeout: 2000 }, () => end("open"));
    socket.on("timeout", () => end("closed")).on("error", (error) => end(error.syscall === "connect" ? "closed" : error.code));`;
    return kubectl(["exec", "-n", namespace, pod, "--", "/nodejs/bin/node", "-e", script]);
}
/** Tried again for a while, as a policy reaches a new pod a moment after its start. */
const expectReach = (from, host, port, result) => vi.waitFor(async () => expect(await attempt(from, host, port)).toBe(result), { timeout: 20_000, interval: 500 });
test.concurrent.each([
    ["api → postgres", api, "postgres", 5432, "open"],
    ["api → redis", api, "redis", 6379, "open"],
    ["api → Kubernetes", api, "kubernetes.default", 443, "open"],
    ["api → the machine's registry", api, nodeIp, 5000, "closed"],
    ["worker → postgres", worker, "postgres", 5432, "open"],
    ["worker → redis", worker, "redis", 6379, "open"],
    ["worker → Kubernetes", worker, "kubernetes.default", 443, "open"],
    ["worker → the machine's registry", worker, nodeIp, 5000, "closed"],
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
test.concurrent("sessions don't reach each other, neither another tenant's nor their own", async () => {
    const address = await addressOf(acme);
    await expectReach(acmeToo, address, 6080, "closed");
    await expectReach(globex, address, 6080, "closed");
});
