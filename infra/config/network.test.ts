import { expect, test } from "vitest";
import { type Config, parseConfig } from "./config.ts";

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

const parsed = (values: Record<string, unknown>) =>
  parseConfig({
    ...required,
    ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  });
const tenant = (...egress: object[]) => ({ tenants: [{ name: "acme", egress }] });
const nodes = { network: { nodes: ["10.4.0.0/16"] } };
const rule = "tenants[0].egress[0]";
const needsNodes = "needs network.nodes, the addresses of the nodes, so that they stay closed in this range; set it";

test("DNS is asked at the pods of kube-dns, unless the config names other servers", () => {
  expect(parsed({}).config?.network.dns).toEqual([
    { namespace: "kube-system", labels: { "k8s-app": "kube-dns" }, cidr: null, port: 53 },
  ]);
  const dns = [{ cidr: "169.254.20.10/32" }, { namespace: "openshift-dns", port: 5353 }];
  expect(parsed({ network: { dns } }).config?.network.dns).toEqual([
    { namespace: null, labels: {}, cidr: "169.254.20.10/32", port: 53 },
    { namespace: "openshift-dns", labels: {}, cidr: null, port: 5353 },
  ]);
});

test("a rule opens an address range, pods, or a private range if the rule says so", () => {
  const { config, faults } = parsed({
    ...nodes,
    ...tenant(
      { cidr: "203.0.113.0/24" },
      { pods: { namespace: "models", labels: { app: "litellm" } }, ports: [4000] },
      { cidr: "10.20.0.0/24", private: true },
      { cidr: "10.0.0.0/8", private: true },
    ),
    egress: [{ pods: { namespace: "observability" }, ports: [4318] }, { cidr: "10.9.0.0/16" }],
  });
  expect(faults).toBeUndefined();
  const none = { cidr: null, pods: null, private: false, ports: [443] };
  expect((config as Config).tenants[0]?.egress).toEqual([
    { ...none, cidr: "203.0.113.0/24" },
    { ...none, pods: { namespace: "models", labels: { app: "litellm" } }, ports: [4000] },
    { ...none, cidr: "10.20.0.0/24", private: true },
    { ...none, cidr: "10.0.0.0/8", private: true },
  ]);
});

test("the nodes' addresses of Prometheus are those of `network.nodes`, unless the config sets them", () => {
  const prometheus = { kubelets: { nodes: ["10.4.0.0/16"] } };
  expect(parsed({ prometheus, ...tenant({ cidr: "10.9.0.0/16", private: true }) }).faults).toBeUndefined();
  const inNodes = tenant({ cidr: "10.4.9.0/24", private: true });
  expect(parsed({ prometheus, ...inNodes }).faults).toHaveLength(1);
  expect(parsed({ prometheus, network: { nodes: ["10.4.0.0/24"] }, ...inNodes }).faults).toBeUndefined();
});

const store = (external: object) => ({ redis: { external: { secret: "redis", ...external } } });

test("an external store is reached at addresses, at pods, or at both", () => {
  const pods = [{ namespace: "databases", labels: { app: "redis" }, port: 6379 }];
  expect(parsed(store({ pods })).config?.redis.external).toEqual({ secret: "redis", addresses: [], pods });
  expect(parsed(store({ pods, addresses: [{ cidr: "10.20.0.5/32", port: 6379 }] })).faults).toBeUndefined();
});

test.each<[string, Record<string, unknown>, string]>([
  ["an empty rule", tenant({}), `${rule}: {…} names neither \`cidr\` nor \`pods\`; name one of the two`],
  [
    "a rule with two targets",
    { egress: [{ cidr: "203.0.113.0/24", pods: { namespace: "models" } }] },
    "egress[0]: {…} names both `cidr` and `pods`; name one of the two",
  ],
  [
    "a private range without permission",
    tenant({ cidr: "172.20.0.0/16" }),
    `${rule}.cidr: "172.20.0.0/16" lies in 172.16.0.0/12, which is private; set \`private: true\` if sessions may reach it, or remove it`,
  ],
  [
    "a private range while the nodes' addresses are unknown",
    tenant({ cidr: "10.20.0.0/24", private: true }),
    `${rule}.cidr: "10.20.0.0/24" ${needsNodes}`,
  ],
  [
    "a public range while the nodes' addresses are unknown",
    tenant({ cidr: "0.0.0.0/0" }),
    `${rule}.cidr: "0.0.0.0/0" ${needsNodes}`,
  ],
  [
    "a private range of the platform while the nodes' addresses are unknown",
    { egress: [{ cidr: "10.0.0.0/8" }] },
    `egress[0].cidr: "10.0.0.0/8" ${needsNodes}`,
  ],
  [
    "a metadata service for the platform",
    { ...nodes, egress: [{ cidr: "169.254.169.254/32" }] },
    'egress[0].cidr: "169.254.169.254/32" lies in 169.254.0.0/16, the addresses of metadata services, which no `egress` opens; remove it',
  ],
  [
    "loopback for the platform",
    { ...nodes, egress: [{ cidr: "127.0.0.1/32" }] },
    'egress[0].cidr: "127.0.0.1/32" lies in 127.0.0.0/8, which is internal, and no `egress` opens it; remove it',
  ],
  [
    "a node for the platform",
    { ...nodes, egress: [{ cidr: "10.4.7.1/32" }] },
    'egress[0].cidr: "10.4.7.1/32" lies in 10.4.0.0/16, the addresses of the nodes, which no `egress` opens; name the nodes\' ranges exactly in network.nodes, or remove the rule',
  ],
  [
    "an address of the Kubernetes API",
    {
      ...nodes,
      kubernetesApi: [{ cidr: "10.7.0.0/28", port: 443 }],
      ...tenant({ cidr: "10.7.0.4/32", private: true }),
    },
    `${rule}.cidr: "10.7.0.4/32" lies in 10.7.0.0/28, the addresses of the Kubernetes API (kubernetesApi), which no \`egress\` opens; remove the rule`,
  ],
  [
    "pods in a private range",
    tenant({ pods: { namespace: "models" }, private: true }),
    `${rule}.private: true has no effect on \`pods\`, because it belongs to \`cidr\`; remove it`,
  ],
  [
    "labels of a DNS server's address",
    { network: { dns: [{ cidr: "10.0.0.10/32", labels: { app: "dns" } }] } },
    "network.dns[0].labels: {…} is set beside `cidr`, and only pods have labels; remove it",
  ],
  [
    "a range of the nodes",
    { ...nodes, ...tenant({ cidr: "10.4.7.0/24", private: true }) },
    `${rule}.cidr: "10.4.7.0/24" lies in 10.4.0.0/16, the addresses of the nodes, which no \`egress\` opens; name the nodes' ranges exactly in network.nodes, or remove the rule`,
  ],
  [
    "a private range that is no range",
    { ...nodes, ...tenant({ cidr: "10.20.0.8", private: true }) },
    `${rule}.cidr: "10.20.0.8" is not an address range; write for example 203.0.113.0/24 or 0.0.0.0/0`,
  ],
  [
    "nodes that are no range, beside a private range",
    { network: { nodes: ["10.4.0.0"] }, ...tenant({ cidr: "10.20.0.0/24", private: true }) },
    'network.nodes[0]: "10.4.0.0" is not an address range; write for example 203.0.113.0/24 or 0.0.0.0/0',
  ],
  [
    "a metadata service in a private range",
    { ...nodes, ...tenant({ cidr: "100.100.100.200/32", private: true }) },
    `${rule}.cidr: "100.100.100.200/32" lies in 100.100.100.200/32, the addresses of metadata services, which no \`egress\` opens; remove it`,
  ],
  [
    "a link-local range",
    { ...nodes, ...tenant({ cidr: "127.0.0.0/8", private: true }) },
    `${rule}.cidr: "127.0.0.0/8" lies in 127.0.0.0/8, which is internal, and no \`egress\` opens it; remove it`,
  ],
  [
    "every address as a private range",
    { ...nodes, ...tenant({ cidr: "0.0.0.0/0", private: true }) },
    `${rule}.cidr: "0.0.0.0/0" lies in no private range (10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, fc00::/7), and \`private: true\` opens no other; name the private range`,
  ],
  [
    "pods of the platform",
    { namespace: "lab", ...tenant({ pods: { namespace: "lab" } }) },
    `${rule}.pods.namespace: "lab" is the platform's namespace, which sessions reach only by the in-pod channel; remove the rule`,
  ],
  [
    "pods of another tenant",
    tenant({ pods: { namespace: "tenant-globex" } }),
    `${rule}.pods.namespace: "tenant-globex" is a tenant's namespace, and sessions can never reach sessions; name another namespace`,
  ],
  [
    "pods of another tenant in a stack with a prefix of its own",
    { tenantPrefix: "lab-", ...tenant({ pods: { namespace: "lab-globex" } }) },
    `${rule}.pods.namespace: "lab-globex" is a tenant's namespace, and sessions can never reach sessions; name another namespace`,
  ],
  [
    "pods of a tenant of the stack with the default prefix",
    { tenantPrefix: "lab-", ...tenant({ pods: { namespace: "tenant-globex" } }) },
    `${rule}.pods.namespace: "tenant-globex" is a tenant's namespace, and sessions can never reach sessions; name another namespace`,
  ],
  [
    "no DNS server",
    { network: { dns: [] } },
    "network.dns: […] is empty; name at least one, because without DNS no pod can reach anything",
  ],
  [
    "a DNS server by pods and address",
    { network: { dns: [{ namespace: "kube-system", cidr: "10.0.0.10/32" }] } },
    "network.dns[0]: {…} names both `namespace` and `cidr`; name one of the two",
  ],
  [
    "a store that no pod can reach",
    store({}),
    "redis.external: {…} has neither `addresses` nor `pods`; name at least one, because without one no pod can reach the store",
  ],
  [
    "an unknown kind of policies",
    { network: { policies: "calico" } },
    'network.policies: "calico" is neither kubernetes nor cilium',
  ],
])("%s gives one fault with the path, the value and the rule", (_, values, line) => {
  expect(parsed(values).faults).toEqual([line]);
});
