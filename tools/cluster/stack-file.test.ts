/** Tests the files that `npm run init` makes for several kinds of clusters. */
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../infra/config/config.ts";
import { tenantPrefix } from "../../infra/config/tenant.ts";
import { accessKeys } from "./choices.ts";
import type { Seen, SeenGateway } from "./seen.ts";
import { stackFile, stackName, warnings } from "./stack-file.ts";
import { aks, cilium, eks, gke, k3s, kind, local } from "./testing.ts";

const clusters = { local, kind, gke, eks, aks, cilium, k3s };
const registry = "ghcr.io/acme/berth";

/** The file's text, and its config as `pulumi up` reads it. */
function made(seen: typeof kind, more: { registry?: string; url?: string } = { registry }) {
  const text = stackFile(seen, { stack: "mine", context: "here", ...more });
  const { config } = parse(text) as { config: Record<string, unknown> };
  const values = Object.entries(config).flatMap(([key, value]) =>
    key.startsWith("berth:") ? [[key.slice(6), typeof value === "string" ? value : JSON.stringify(value)]] : [],
  );
  return { text, ...parseConfig(Object.fromEntries(values)) };
}

describe.each(Object.entries(clusters))("%s", (_, seen) => {
  test.each([undefined, "https://berth.example.com"])("the file is a valid config, for the address %s", (url) => {
    const { config, faults } = made(seen, { registry, ...(url && { url }) });
    expect(faults).toBeUndefined();
    expect(config).toMatchObject({ context: "here", clusterId: seen.id, registry, tenants: [{ name: "acme" }] });
    expect(config?.publicUrl).toBe(url ?? "http://127.0.0.1:30080");
  });

  test("every key has a comment above it, and no line is longer than 120 characters", () => {
    const lines = made(seen).text.split("\n");
    expect(lines.filter((line) => line.length > 120)).toEqual([]);
    const blocks = made(seen)
      .text.split("\n\n")
      .filter((block) => /^ {2}berth:/m.test(block));
    expect(blocks.length).toBeGreaterThan(6);
    for (const block of blocks) expect(block).toMatch(/^( {2}|)#/);
  });

  test("without a registry, only the registry is missing", () => {
    const { config, faults } = made({ ...seen, localRegistry: null }, {});
    expect(config).toBeUndefined();
    expect(faults).toEqual([expect.stringMatching(/^registry: is empty/)]);
  });
});

test("local: the node's range, and the stack's adapter serves CPU and memory", () => {
  const { config, text } = made(local);
  expect(config).toMatchObject({
    platform: "linux/amd64",
    requestScale: 0.2,
    api: { autoscaling: { min: 1, max: 3 } },
    prometheus: { kubelets: { nodes: ["10.200.0.0/24"] } },
    kubernetesApi: [{ cidr: "10.200.0.0/24", port: 6443 }],
    adapter: { replicas: 1, resourceMetrics: true },
    autoscaler: "hpa",
    protectData: true,
  });
  expect(text.replaceAll(/\s+# /g, " ")).toContain(
    "Whether it enforces them is not known, but `npm run doctor` tries it.",
  );
});

test("kind: the registry that the cluster names, arm64, kubelets' own certificates, and data that may be deleted", () => {
  const { config } = made(kind, {});
  expect(config).toMatchObject({
    registry: "localhost:5001/berth",
    platform: "linux/arm64",
    prometheus: { kubelets: { nodes: ["172.18.0.0/24"], verifyCertificates: false } },
    adapter: { resourceMetrics: true },
    protectData: false,
  });
});

test("GKE: KEDA scales, metrics-server stays, separate gateway pods, and the addresses of NodeLocal DNSCache", () => {
  const { config, text } = made(gke);
  expect(config).toMatchObject({
    autoscaler: "keda",
    keda: { namespace: "keda" },
    adapter: { replicas: 2, resourceMetrics: false },
    gateway: { autoscaling: { min: 2 } },
    requestScale: 1,
    kubernetesApi: [{ cidr: "10.132.0.2/32", port: 443 }],
    network: {
      policies: "kubernetes",
      dns: [{ namespace: "kube-system" }, { cidr: "169.254.20.10/32" }, { cidr: "34.118.224.10/32" }],
    },
  });
  expect(text).not.toContain("To do: NodeLocal DNSCache");
  expect(made({ ...gke, dnsService: [], daemonSets: [nodeLocalDns] }).text).toContain("To do: NodeLocal DNSCache");
  expect(text).toContain("GKE Dataplane V2 enforces them");
  expect(text).toContain("RuntimeClasses gvisor");
});

const url = "https://berth.example.com";
const words = (text: string) => text.replaceAll(/\n\s*# /g, " ");
const nodeLocalDns = { namespace: "kube-system", name: "node-local-dns", args: [] };

/** A Gateway, with one listener that takes routes of these namespaces. */
const gatewayFor = (name: string, routesFrom: SeenGateway["listeners"][number]["routesFrom"]): SeenGateway => ({
  name,
  namespace: "edge",
  className: "envoy",
  listeners: [{ name: "https", routesFrom }],
});

test("GKE: its load balancer refuses time-outs, has no pods, and needs two more objects", () => {
  const { config, text } = made(gke, { registry, url });
  expect(config?.ingress).toMatchObject({
    controller: "gateway-api",
    gateway: { name: "shared", namespace: "edge" },
    requestTimeout: null,
    controllerNamespace: null,
  });
  expect(words(text)).toContain("To do: make the two objects of docs/production.md#gke.");
  expect(text).not.toContain("as controllerNamespace");
  const ofEnvoy = made({ ...gke, gatewayClasses: [] }, { registry, url });
  expect(ofEnvoy.config?.ingress).toMatchObject({ requestTimeout: "0s" });
  expect(words(ofEnvoy.text)).toContain("name their namespace as controllerNamespace");
});

test("a Gateway that takes routes of other namespaces comes before an ingress controller, best one that takes all", () => {
  const [own, none] = [gatewayFor("own", "own namespace"), gatewayFor("none", "no namespace")];
  const [selected, all] = [gatewayFor("selected", "selected namespaces"), gatewayFor("all", "all namespaces")];
  const ofCluster = (...gateways: SeenGateway[]) => made({ ...k3s, gateways }, { registry, url });
  expect(ofCluster(own, none).config).toMatchObject({ ingress: { controller: "traefik" } });
  expect(ofCluster(own, selected, all).config).toMatchObject({ ingress: { gateway: { name: "all" } } });
  const { config, text } = ofCluster(own, selected);
  expect(config).toMatchObject({ ingress: { gateway: { name: "selected" } } });
  expect(words(text)).toContain("To do: the listeners take routes only of namespaces with the labels");
});

test("ingress-nginx, which is retired, comes last and with a warning", () => {
  const ingressClasses = [...eks.ingressClasses, ...k3s.ingressClasses];
  const { config, text } = made({ ...eks, ingressClasses }, { registry, url });
  expect(config).toMatchObject({ ingress: { controller: "traefik" } });
  expect(text).not.toContain("retired");
  expect(words(made(eks, { registry, url }).text)).toContain("Attention: ingress-nginx is retired");
});

test("EKS: one StorageClass for all volumes, another adapter, two architectures, and policies that nobody enforces", () => {
  const { config, text } = made(eks, { registry, url });
  const storageClass = "gp3";
  expect(config).toMatchObject({
    postgres: { volume: { storageClass }, backup: { volume: { storageClass } } },
    redis: { volume: { storageClass } },
    prometheus: { volume: { storageClass }, kubelets: { nodes: ["10.0.0.0/21"] } },
    tenants: [{ workspace: { storageClass } }],
    autoscaler: "off",
    kubernetesApi: [
      { cidr: "10.0.1.77/32", port: 443 },
      { cidr: "10.0.2.18/32", port: 443 },
    ],
    ingress: {
      controller: "nginx",
      controllerNamespace: "ingress-nginx",
      tls: { clusterIssuer: "letsencrypt" },
    },
  });
  expect(words(text)).toContain("architecture of 3 of 4 nodes");
  expect(words(text)).toContain("Attention: there are also nodes with arm64");
  expect(words(text)).toContain("datadog/cluster-agent-metrics serves metrics for autoscalers already");
  expect(words(text)).toContain("To do: EKS changes the addresses at upgrades");
  expect(warnings(eks)).toEqual([expect.stringContaining('set enableNetworkPolicy to "true"')]);
});

test("AKS: policies for Cilium, the address of the API server, and the cluster's metrics-server", () => {
  const { config, text } = made(aks);
  expect(config).toMatchObject({
    network: { policies: "cilium", dns: [{ namespace: "kube-system" }] },
    kubernetesApi: [{ cidr: "203.0.113.7/32", port: 443 }],
    prometheus: { kubelets: { nodes: ["10.224.0.0/24"], verifyCertificates: true } },
    adapter: { resourceMetrics: false },
    protectData: true,
  });
  expect(text).toContain("# Seen: AKS, Kubernetes v1.34.2, 3 nodes, Cilium.");
  expect(text).not.toContain("Attention");
});

test("Cilium, with the API server on a node: policies that open nodes, and no warning that they stay closed", () => {
  const { config, text } = made(cilium);
  expect(config).toMatchObject({
    network: { policies: "cilium" },
    kubernetesApi: [{ cidr: "10.5.0.0/24", port: 6443 }],
  });
  expect(words(text)).toContain("Cilium enforces them. Cilium ignores address ranges that are meant for nodes, so");
  expect(text).not.toContain("Attention");
});

test("several StorageClasses and no default one: the user names one, because volumes can't change their class later", () => {
  const gp2 = { name: "gp2", provisioner: "kubernetes.io/aws-ebs", isDefault: false };
  const { config, text } = made({ ...eks, storageClasses: [gp2, ...eks.storageClasses] });
  expect(config?.postgres.volume.storageClass).toBeNull();
  expect(words(text)).toContain("To do: name the StorageClass of all volumes, because the cluster has no default one.");
  expect(words(text)).toContain("gp2 of kubernetes.io/aws-ebs, gp3 of ebs.csi.aws.com");
});

test("k3s: Traefik of the cluster, and its metrics-server", () => {
  const { config } = made(k3s, { registry, url: "http://berth.home" });
  expect(config).toMatchObject({
    platform: "linux/arm64",
    ingress: { controller: "traefik", controllerNamespace: "kube-system", tls: null },
    adapter: { resourceMetrics: false },
  });
});

test("an unsuitable cluster gives warnings, at the head of the file too", () => {
  const seen = { ...kind, version: "v1.29.1", storageClasses: [], unread: ["nodes: HTTP 403"] };
  expect(warnings(seen)).toEqual([
    "Berth needs Kubernetes 1.30 or newer, and the cluster has v1.29.1.",
    "The cluster has no StorageClass, so no volume can be made: install a CSI driver and a StorageClass.",
  ]);
  const { text } = made(seen);
  const head = text.slice(0, text.indexOf("config:"));
  expect(head.match(/Attention: /g)).toHaveLength(2);
  expect(head).toContain("Could not be read: nodes: HTTP 403");
});

test("beside another Berth, this one gets its own names, and leaves the metrics APIs to the other", () => {
  const external = { name: "v1beta1.external.metrics.k8s.io", group: "external.metrics.k8s.io" };
  const seen = {
    ...kind,
    berths: [{ namespace: "berth", stack: "prod" }],
    apis: [...kind.apis, { ...external, service: "berth/prometheus-adapter" }],
  };
  const { config, text } = made(seen);
  expect(config).toMatchObject({
    namespace: "berth-mine",
    tenantPrefix: "berth-mine--",
    priorityClasses: { sessions: { name: "berth-mine-sessions" } },
    autoscaler: "off",
  });
  expect(text).toContain("the Berth of the stack prod in the namespace berth");
  expect(text).toContain("port-forward -n berth-mine service/gateway");
  const own = { ...seen, berths: [{ namespace: "berth", stack: "mine" }] };
  expect(made(own).config).toMatchObject({ namespace: "berth", autoscaler: "hpa" });
});

const namesOf = (stack: string, ...berths: Seen["berths"]) => {
  const seen = { ...kind, berths: [{ namespace: "berth", stack: "prod", tenantPrefix: "tenant-" }, ...berths] };
  return accessKeys(seen, { stack, context: "x" })[1]?.keys as { namespace: string; tenantPrefix: string };
};

test("beside other Berths, stacks whose names are cut or changed get different names", () => {
  const stacks = [
    ...["acme-production-eu-west-1", "acme-production-eu-west-2", "...", "a_b", "a-b", "A-b"],
    ...["staging", "staging-2", "staging-2-b", "gke_Acme_europe-west1-b"],
  ];
  const names = stacks.map((stack) => namesOf(stack));
  expect(names[0]).toMatchObject({ namespace: expect.stringMatching(/^berth-acme-pro-[0-9a-f]{6}$/) });
  expect(names[2]?.namespace).toMatch(/^berth-[0-9a-f]{6}$/);
  expect(names[6]).toMatchObject({ namespace: "berth-staging", tenantPrefix: "berth-staging--" });
  expect(new Set(names.map(({ namespace }) => namespace)).size).toBe(stacks.length);
  for (const one of names) {
    expect(tenantPrefix.safeParse(one.tenantPrefix).success, one.tenantPrefix).toBe(true);
    for (const other of names.filter((each) => each !== one))
      expect(other.tenantPrefix.startsWith(one.tenantPrefix), `${one.tenantPrefix} ${other.tenantPrefix}`).toBe(false);
  }
});

test.each([
  ["has the name", { namespace: "berth-eu", stack: "other", tenantPrefix: "other-" }, /^berth-eu-[0-9a-f]{6}$/],
  ["has a prefix that begins alike", { namespace: "b", stack: "eu", tenantPrefix: "berth-eu-" }, /^b-[0-9a-f]{6}$/],
  ["has no tenant, but a similar name", { namespace: "berth-eu", stack: "eu-1" }, /^b-[0-9a-f]{6}$/],
])("a name is not taken if another Berth %s", (_, other, namespace) => {
  expect(namesOf(_ === "has the name" ? "eu" : "eu-2", other).namespace).toMatch(namespace);
});

test("a stack whose Berth is in the cluster already keeps its names", () => {
  const own = { namespace: "berth-old", stack: "mine", tenantPrefix: "berth-old-" };
  expect(namesOf("mine", own)).toMatchObject({ namespace: "berth-old", tenantPrefix: "berth-old-" });
});

test("nodes with public addresses are closed to sessions by all their addresses", () => {
  const nodes = eks.nodes.map((node, index) => ({ ...node, externalAddresses: [`198.51.100.${index + 1}`] }));
  const { config, text } = made({ ...eks, nodes });
  const outside = [1, 2, 3, 4].map((number) => `198.51.100.${number}/32`);
  expect(config?.network.nodes).toEqual(["10.0.0.0/21", ...outside]);
  expect(config?.prometheus.kubelets?.nodes).toEqual(["10.0.0.0/21"]);
  expect(text.replaceAll(/\n\s*# /g, " ")).toContain("nodes have public addresses");
  expect(made(eks).config?.network.nodes).toBeNull();
});

test.each([
  ["kind-berth", "kind-berth"],
  ["arn:aws:eks:eu-west-1:123456789012:cluster/prod", "prod"],
  ["gke_acme_europe-west1-b_prod", "gke_acme_europe-west1-b_prod"],
  ["admin@home lab", "admin-home-lab"],
  ["//", "cluster"],
])("the context %s gives the stack %s", (context, stack) => {
  expect(stackName(context)).toBe(stack);
});
