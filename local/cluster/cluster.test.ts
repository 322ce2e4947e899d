/** What follows from the cluster's settings; node.cluster.test.ts asks the running node. */
import { describe, expect, it } from "vitest";
import { mountsUnder } from "../lib/mounts.ts";
import { addonManifests, fill } from "./addons.ts";
import { components } from "./components.ts";
import { configFiles } from "./configs.ts";
import { isBare, removal } from "./iptables.ts";
import { certificates } from "./pki.ts";

const configs = configFiles("127.0.0.1:5000/berth-local/pause:1");

describe("the cluster's daemons", () => {
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
    expect(
      isBare("table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"),
    ).toBe(false);
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
