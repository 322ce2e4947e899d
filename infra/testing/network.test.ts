/** Tests the network policies of the whole stack, with options that no committed stack uses. */
import { beforeEach, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "./record.ts";

interface Policy {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { egress?: { to?: unknown[]; ports?: unknown[] }[] } & Record<string, unknown>;
}

const of = (resources: RecordedResource[], kind: string, namespace: string) =>
  Object.fromEntries(
    resources
      .map(({ inputs }) => inputs as Policy)
      .filter((policy) => policy.kind === kind && policy.metadata.namespace === namespace)
      .map(({ metadata, spec }) => [metadata.name, spec]),
  );

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

const dnsAt = (port: number) => ["UDP", "TCP"].map((protocol) => ({ protocol, port }));
const podsIn = (namespace: string, labels: object) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels: labels },
});
const block = (cidr: string, except: string[]) => ({ ipBlock: { cidr, except } });

test("the platform's pods and sessions may ask the DNS servers of the config, and no others", async () => {
  const resources = await recordStack("prod", {
    network: {
      dns: [{ cidr: "169.254.20.10/32" }, { namespace: "openshift-dns", labels: { dns: "default" }, port: 5353 }],
    },
  });
  for (const namespace of ["berth", "tenant-acme"])
    expect(of(resources, "NetworkPolicy", namespace)["allow-dns"]?.egress).toEqual([
      { to: [{ ipBlock: { cidr: "169.254.20.10/32" } }], ports: dnsAt(53) },
      { to: [podsIn("openshift-dns", { dns: "default" })], ports: dnsAt(5353) },
    ]);
  expect(of(resources, "CiliumNetworkPolicy", "berth")).toEqual({});
});

const api = [{ cidr: "10.7.0.0/28", port: 443 }];

test("egress opens pods and private ranges, and metadata services, nodes and the Kubernetes API stay closed", async () => {
  const pods = { namespace: "models", labels: { app: "litellm" } };
  const resources = await recordStack("prod", {
    kubernetesApi: api,
    network: { nodes: ["10.4.0.0/16"] },
    egress: [{ cidr: "0.0.0.0/0" }, { cidr: "10.0.0.0/8", ports: [4318] }, { pods, ports: [8080] }],
    tenants: [
      {
        name: "acme",
        egress: [{ cidr: "10.0.0.0/8", private: true }, { pods, ports: [4000] }, { cidr: "0.0.0.0/0" }],
      },
    ],
  });
  const tcp = (port: number) => [{ protocol: "TCP", port }];
  const ofSessions = of(resources, "NetworkPolicy", "tenant-acme")["session-egress"]?.egress ?? [];
  const everywhere = ofSessions[2]?.to?.[0] as ReturnType<typeof block>;
  expect(everywhere.ipBlock.except).toEqual(
    expect.arrayContaining(["10.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32"]),
  );
  expect(ofSessions).toEqual([
    { to: [block("10.0.0.0/8", ["10.7.0.0/28", "10.4.0.0/16"])], ports: tcp(443) },
    { to: [podsIn("models", pods.labels)], ports: tcp(4000) },
    { to: [everywhere], ports: tcp(443) },
  ]);
  const platform = of(resources, "NetworkPolicy", "berth");
  for (const policy of ["api-egress", "gateway-egress", "worker-egress"])
    expect(platform[policy]?.egress, policy).toEqual(
      expect.arrayContaining([
        { to: [everywhere], ports: tcp(443) },
        { to: [block("10.0.0.0/8", ["10.7.0.0/28", "10.4.0.0/16"])], ports: tcp(4318) },
        { to: [podsIn("models", pods.labels)], ports: tcp(8080) },
      ]),
    );
});

test("pods of an external store are reached by their labels", async () => {
  const pods = [{ namespace: "databases", labels: { "cnpg.io/cluster": "berth" }, port: 5432 }];
  const resources = await recordStack("prod", { postgres: { external: { secret: "postgres", pods } } });
  const platform = of(resources, "NetworkPolicy", "berth");
  for (const policy of ["api-egress", "worker-egress", "migrate-egress", "postgres-exporter-egress"])
    expect(platform[policy]?.egress, policy).toContainEqual({
      to: [podsIn("databases", { "cnpg.io/cluster": "berth" })],
      ports: [{ protocol: "TCP", port: 5432 }],
    });
});

test("with Cilium, further policies open the Kubernetes API, the kubelets and a DNS cache on the node", async () => {
  const resources = await recordStack("prod", {
    kubernetesApi: api,
    network: { policies: "cilium", dns: [{ cidr: "169.254.20.10/32" }, { cidr: "10.0.0.2/32" }] },
  });
  const platform = of(resources, "CiliumNetworkPolicy", "berth");
  const opened = (entities: string[], ...ports: [string, string][]) => [
    { toEntities: entities, toPorts: [{ ports: ports.map(([port, protocol]) => ({ port, protocol })) }] },
  ];
  const callers = ["gateway", "worker", "prometheus", "prometheus-adapter"];
  expect(Object.keys(platform).sort()).toEqual(
    ["allow-dns", "prometheus-kubelets", ...callers.map((caller) => `${caller}-kubernetes`)].sort(),
  );
  for (const caller of callers)
    expect(platform[`${caller}-kubernetes`]).toEqual({
      endpointSelector: {
        matchLabels: { "app.kubernetes.io/name": caller, "app.kubernetes.io/component": caller },
      },
      egress: opened(["kube-apiserver"], ["443", "TCP"]),
    });
  expect(platform["prometheus-kubelets"]?.egress).toEqual(opened(["host", "remote-node"], ["10250", "TCP"]));
  // 10.0.0.2 is not link-local, so its server is not on the pod's own node, and the NetworkPolicy opens it.
  expect(platform["allow-dns"]?.egress).toEqual(opened(["host"], ["53", "UDP"], ["53", "TCP"]));
  expect(of(resources, "CiliumNetworkPolicy", "tenant-acme")).toEqual({
    "allow-dns": {
      endpointSelector: { matchLabels: { "app.kubernetes.io/component": "session" } },
      egress: opened(["host"], ["53", "UDP"], ["53", "TCP"]),
    },
  });
});
