import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { mountsUnder } from "../lib/mounts.ts";
import { nodeIp } from "../lib/paths.ts";
import { addonManifests, fill } from "./addons.ts";
import { components } from "./components.ts";
import { configFiles, files } from "./configs.ts";
import { guardRules } from "./guard.ts";
import { isBare, removal } from "./iptables.ts";
import { certificates } from "./pki.ts";
const configs = configFiles("127.0.0.1:5000/berth-local/pause:1");
const config = (path) => parse(configs[path] ?? "");
describe("the cluster's daemons", () => {
    it("listen on loopback and the node's own address only", () => {
        const local = ["127.0.0.1", nodeIp];
        const bound = components.flatMap(({ args }) => args.flatMap((arg) => arg.match(/^--bind-address=(.*)/)?.[1] ?? []));
        expect(bound).toHaveLength(3);
        expect(local).toEqual(expect.arrayContaining(bound));
        const etcdUrls = components.flatMap(({ args }) => args.flatMap((arg) => arg.match(/^--listen-.*=(.*)/)?.[1] ?? []));
        expect(etcdUrls).toEqual(["https://127.0.0.1:2379", "http://127.0.0.1:2380"]);
        expect(local).toContain(config(files.kubelet).address);
        expect(local).toContain(config(files.registry).http.addr.split(":")[0]);
        for (const address of [config(files.proxy).healthzBindAddress, config(files.proxy).metricsBindAddress])
            expect(address).toMatch(/^127\.0\.0\.1:/);
    });
    it("answer NodePorts on loopback and the node's own address only", () => {
        expect(config(files.proxy).nodePortAddresses).toEqual(["127.0.0.0/8", `${nodeIp}/32`]);
    });
    it("look for images in the local registry only", () => {
        expect(configs[files.registryHosts]).toContain('server = "http://127.0.0.1:5000"');
        expect(files.registryHosts).toMatch(/\/_default\/hosts\.toml$/);
    });
    it("work without the right to raise OOM scores", () => {
        expect(configs[files.containerd]).toContain("restrict_oom_score_adj = true");
        expect([config(files.kubelet).oomScoreAdj, config(files.proxy).oomScoreAdj]).toEqual([0, 0]);
    });
    it("restart when a file changes that they read at their start", () => {
        for (const { args, files: watched = [], name } of components) {
            const read = args.map((arg) => arg.replace(/^--[\w-]+=/, "")).filter((arg) => arg in configs);
            expect(watched, name).toEqual(expect.arrayContaining(read));
        }
    });
    it("have certificates of the authority that their peers trust", () => {
        const ca = Object.fromEntries(certificates.map(({ name, ca }) => [name, ca]));
        expect(ca).toMatchObject({
            etcd: "etcd-ca",
            "apiserver-etcd": "etcd-ca",
            "front-proxy": "front-proxy-ca",
            admin: "ca",
        });
    });
});
describe("the guard", () => {
    it("covers pods and services, rejects in forward and output, and counts behind everything else what leaks", () => {
        const rules = guardRules();
        expect(rules).toContain("elements = { 10.244.0.0/16, 10.96.0.0/16 }");
        expect(rules).toMatch(/hook forward priority -10; policy accept; jump outgoing/);
        expect(rules).toMatch(/hook output priority -10; policy accept; jump outgoing/);
        expect(rules).toMatch(/hook postrouting priority 300[\s\S]*ct original ip saddr @cluster counter name leaked drop/);
    });
});
describe("add-ons", () => {
    it("have all their values filled in", () => {
        expect(addonManifests()).not.toMatch(/\$\{/);
        expect(addonManifests()).toMatch(/image: 127\.0\.0\.1:5000\/berth-local\/coredns:[0-9a-f]{12}/);
    });
    it("name a value that is missing", () => {
        expect(() => fill("a: $" + "{B}", {})).toThrow("B");
    });
});
describe("clearing iptables", () => {
    const saved = `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
COMMIT
`;
    it("removes Kubernetes' chains and the jumps to them, and leaves others'", () => {
        expect(removal(saved)).toBe(`*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-X KUBE-SERVICES
-X KUBE-SVC-A
COMMIT
`);
    });
    it("has nothing to do where Kubernetes has left nothing", () => {
        expect(removal("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n")).toBe("");
    });
    it("takes only a table without any rule for bare", () => {
        const chain = "\tchain INPUT {\n\t\ttype filter hook input priority filter; policy accept;\n";
        expect(isBare(`table ip filter {\n${chain}\t}\n}\n`)).toBe(true);
        expect(isBare(`table ip filter {\n${chain}\t\ttcp dport 22 accept\n\t}\n}\n`)).toBe(false);
        expect(isBare("table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n")).toBe(false);
    });
});
describe("mounts", () => {
    it("are found at and below a directory, the innermost first", () => {
        const mountinfo = ["/", "/var/lib/berth/kubelet/a", "/var/lib/berth/kubelet/a/b", "/var/lib/berth-other"]
            .map((point) => `30 1 0:1 / ${point} rw - tmpfs tmpfs rw`)
            .join("\n");
        expect(mountsUnder(["/var/lib/berth"], mountinfo)).toEqual([
            "/var/lib/berth/kubelet/a/b",
            "/var/lib/berth/kubelet/a",
        ]);
    });
});
