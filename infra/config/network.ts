/**
 * What the network policies have to know about the cluster: where DNS is, the nodes' addresses, and pods of other namespaces to
 * which Berth or a session connects.
 */
import { z } from "zod";
import { labelMap } from "./affinity.ts";
import { cidr, name, port } from "./scalars.ts";

const podsKeys = {
  namespace: name.describe("The namespace of the pods."),
  labels: labelMap.default({}).describe("The pods' labels. Empty: all pods of the namespace."),
};

/** Pods that a connection may lead to. */
export const pods = z.strictObject(podsKeys);

/** Pods of a store, each entry with the port on which its pods listen. */
export const storePods = z.array(
  z.strictObject({
    ...podsKeys,
    port: port.describe("The port on which the pods listen. The port of the pods' Service may be different."),
  }),
);

/** Refuses an entry that has both of the two keys or neither of them. */
export const oneOf =
  (first: string, second: string) =>
  ({ value, issues }: z.core.ParsePayload<object>): void => {
    const keys = value as Record<string, unknown>;
    const [a, b] = [keys[first] ?? null, keys[second] ?? null];
    if ((a === null) !== (b === null)) return;
    const names =
      a === null ? `names neither \`${first}\` nor \`${second}\`` : `names both \`${first}\` and \`${second}\``;
    issues.push({ code: "custom", input: value, path: [], message: `${names}; name one of the two` });
  };

const dns = z
  .array(
    z
      .strictObject({
        namespace: name.nullable().default(null).describe("The namespace of the DNS pods."),
        labels: labelMap.default({}).describe("The labels of the DNS pods. Empty: all pods of the namespace."),
        cidr: cidr
          .nullable()
          .default(null)
          .describe(
            "An address of the DNS servers, for example 169.254.20.10/32 of NodeLocal DNSCache. A pod's /etc/resolv.conf has the address.",
          ),
        port: port.default(53).describe("The port on which the DNS servers listen, for example 5353 on OpenShift."),
      })
      .check(oneOf("namespace", "cidr"), ({ value: { cidr, labels }, issues }) => {
        if (cidr === null || Object.keys(labels).length === 0) return;
        const message = "is set beside `cidr`, and only pods have labels; remove it";
        issues.push({ code: "custom", input: labels, path: ["labels"], message });
      }),
  )
  .min(1, { error: "is empty; name at least one, because without DNS no pod can reach anything" })
  .default([{ namespace: "kube-system", labels: { "k8s-app": "kube-dns" }, cidr: null, port: 53 }]);

export const network = z.strictObject({
  policies: z
    .enum(["kubernetes", "cilium"], { error: "is neither kubernetes nor cilium" })
    .default("kubernetes")
    .describe(
      "kubernetes: NetworkPolicies only. cilium: in addition CiliumNetworkPolicies for the Kubernetes API, the kubelets and a DNS cache on the node, because Cilium does not count addresses of nodes as part of an address range.",
    ),
  dns: dns.describe(
    "The DNS servers that all pods may ask: pods (`namespace`, `labels`) or addresses (`cidr`). docs/network.md has the values for several kinds of clusters.",
  ),
  nodes: z
    .array(cidr)
    .min(1, { error: "is empty; name the range of the nodes' addresses" })
    .nullable()
    .default(null)
    .describe(
      "The address ranges of the cluster's nodes, which stay closed in the ranges of every `egress`. If nodes have public addresses too, name these also. Null: the ranges in `prometheus.kubelets.nodes`.",
    ),
});

interface Ranges {
  network: z.output<typeof network>;
  prometheus: { kubelets: { nodes: string[] } | null };
}

/** The address ranges of the cluster's nodes; null if the config does not have them. */
export const nodeRanges = ({ network, prometheus }: Ranges): string[] | null =>
  network.nodes ?? prometheus.kubelets?.nodes ?? null;

/** The address ranges that stay closed in every `egress`: those of the Kubernetes API, and those of the nodes as far as known. */
export const closedRanges = (config: Ranges & { kubernetesApi: { cidr: string }[] }): string[] => [
  ...config.kubernetesApi.map(({ cidr }) => cidr),
  ...(nodeRanges(config) ?? []),
];

export type DnsConfig = z.output<typeof dns>;
