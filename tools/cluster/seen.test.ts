import { expect, test } from "vitest";
import {
  distributionOf,
  dnsCachesOf,
  dnsOf,
  isApiOnNodes,
  type PolicyEngine,
  policyEngineOf,
  rangesOf,
  type Seen,
} from "./seen.ts";
import { aks, eks, gke, k3s, kind, local } from "./testing.ts";

test("the distribution follows from the version and the first node", () => {
  const clusters = [local, kind, gke, eks, aks, k3s];
  expect(clusters.map(distributionOf)).toEqual([null, "kind", "GKE", "EKS", "AKS", "k3s"]);
});

test.each([
  ["the local cluster", local, "unknown"],
  ["kind's own plugin", kind, "unknown"],
  ["GKE with Dataplane V2", gke, "yes"],
  ["GKE without", { ...gke, daemonSets: [] }, "no"],
  ["EKS whose add-on enforces nothing", eks, "no"],
  [
    "EKS whose add-on enforces",
    { ...eks, daemonSets: [{ namespace: "kube-system", name: "aws-node", args: ["--enable-network-policy=true"] }] },
    "yes",
  ],
  [
    "EKS with Calico for policies",
    { ...eks, daemonSets: [...eks.daemonSets, { ...cilium(), name: "calico-node" }] },
    "yes",
  ],
  ["flannel", { ...local, daemonSets: [{ ...cilium(), name: "kube-flannel-ds" }] }, "no"],
  ["Cilium", { ...local, daemonSets: [cilium()] }, "yes"],
] satisfies [string, Seen, PolicyEngine["enforces"]][])("%s: policies are enforced: %s", (_, seen, enforces) => {
  const engine = policyEngineOf(seen);
  expect(engine.enforces).toBe(enforces);
  expect(engine.remedy === undefined).toBe(enforces === "yes");
});

function cilium() {
  return { namespace: "kube-system", name: "cilium", args: [] as string[] };
}

test("DNS is answered by known pods, by each node, or by something unknown", () => {
  expect([dnsOf(kind), dnsOf(gke), dnsOf({ ...eks, dnsPods: [] })]).toEqual(["known", "node", "unknown"]);
});

test.each([
  [
    ["-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile"],
    ["169.254.20.10", "10.96.0.10"],
  ],
  [["--localip=169.254.25.10"], ["169.254.25.10", "10.96.0.10"]],
  [
    ["-localip", "-conf"],
    ["169.254.20.10", "10.96.0.10"],
  ],
  [[], ["169.254.20.10", "10.96.0.10"]],
])("a cache with the arguments %j answers at %j", (args, addresses) => {
  const daemonSets = [{ namespace: "kube-system", name: "node-local-dns", args }];
  expect(dnsCachesOf({ daemonSets, dnsService: ["10.96.0.10"] })).toEqual(addresses);
});

test("the API server is on the nodes, or where a provider runs it", () => {
  expect([local, kind, k3s, gke, eks].map(isApiOnNodes)).toEqual([true, true, true, false, false]);
});

test.each([
  [["10.0.1.5"], ["10.0.1.0/24"]],
  [["172.18.0.2", "172.18.0.3"], ["172.18.0.0/24"]],
  [["10.0.1.5", "10.0.2.5", "10.0.4.5"], ["10.0.0.0/21"]],
  [
    ["10.0.0.1", "192.168.7.1", "10.0.0.9"],
    ["10.0.0.0/24", "192.168.7.0/24"],
  ],
  [
    ["192.168.1.20", "fd00::1"],
    ["192.168.1.0/24", "fd00::1/128"],
  ],
  [[], []],
])("the addresses %j are in %j", (addresses, ranges) => {
  expect(rangesOf(addresses)).toEqual(ranges);
});
