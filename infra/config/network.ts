/** What the network policies let pods reach: DNS, pods of other namespaces, and address ranges. */
import { z } from "zod";
import { labelMap } from "./affinity.ts";
import { contains, internalRangeOf, isCidr, metadataRangeOf, privateRanges } from "./cidr.ts";
import { cidr, name, port } from "./scalars.ts";

const podsKeys = {
  namespace: name.describe("The namespace of the pods."),
  labels: labelMap.default({}).describe("The pods' labels. Empty: all pods of the namespace."),
};

/** Pods that a connection may lead to. */
const pods = z.strictObject(podsKeys);

/** Pods of a store, each entry with the port on which its pods listen. */
export const storePods = z.array(
  z.strictObject({
    ...podsKeys,
    port: port.describe("The port on which the pods listen, which the port of their Service may differ from."),
  }),
);

const ports = z
  .array(port)
  .min(1, { error: "is empty; name at least one port" })
  .default([443])
  .describe("TCP ports. For pods: the ports on which they listen, which the ports of their Service may differ from.");

/** Refuses an entry that has both of the two keys or neither of them. */
const oneOf =
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
      .check(oneOf("namespace", "cidr")),
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
      "The address ranges of the cluster's nodes, which stay closed in the ranges of every `egress`. Null: `prometheus.kubelets.nodes`.",
    ),
});

/** The rules of the stack's `egress`: to which addresses and pods the API, the gateway and the worker may connect. */
export const egress = z.array(
  z
    .strictObject({
      cidr: cidr
        .nullable()
        .default(null)
        .describe(
          "An address range, for example 203.0.113.0/24. Private ranges, metadata services, nodes and the Kubernetes API stay closed in a range that contains them. To open a private range, name the private range itself.",
        ),
      pods: pods.nullable().default(null).describe("Pods of the cluster, instead of an address range."),
      ports,
    })
    .check(oneOf("cidr", "pods")),
);

/** Refuses a range that a tenant's rule can't open. */
function openable({ value, issues }: z.core.ParsePayload<{ cidr: string | null; private: boolean }>): void {
  const { cidr } = value;
  if (cidr === null || !isCidr(cidr)) return;
  const fault = (message: string) => issues.push({ code: "custom", input: cidr, path: ["cidr"], message });
  const internal = internalRangeOf(cidr);
  const metadata = metadataRangeOf(cidr);
  const isPrivate = internal !== undefined && privateRanges.includes(internal);
  if (metadata)
    fault(`lies in ${metadata}, the addresses of metadata services, which are never open to sessions; remove it`);
  else if (internal && !isPrivate)
    fault(`lies in ${internal}, which is internal and never open to sessions; remove it`);
  else if (internal && !value.private)
    fault(`lies in ${internal}, which is private; set \`private: true\` if sessions may reach it, or remove it`);
  else if (!internal && value.private)
    fault(
      `lies in no private range (${privateRanges.join(", ")}), and \`private: true\` opens no other; name the private range`,
    );
}

/** The rules of a tenant's `egress`: to which addresses and pods the tenant's sessions may connect. */
export const tenantEgress = z.array(
  z
    .strictObject({
      cidr: cidr
        .nullable()
        .default(null)
        .describe(
          "An address range that sessions may reach. Private ranges, metadata services, nodes and the Kubernetes API stay closed in a range that contains them.",
        ),
      private: z
        .boolean()
        .default(false)
        .describe(
          `Whether \`cidr\` is a range in a private network (${privateRanges.join(", ")}), for example of a mirror or a proxy. Metadata services, nodes (\`network.nodes\`) and the Kubernetes API in the range stay closed. All other addresses in the range are open, also pods, unless policies of their own protect them.`,
        ),
      pods: pods
        .nullable()
        .default(null)
        .describe("Pods of the cluster that sessions may reach, for example a gateway to models, instead of `cidr`."),
      ports,
    })
    .check(oneOf("cidr", "pods"), openable),
);

interface Ranges {
  network: z.output<typeof network>;
  prometheus: { kubelets: { nodes: string[] } | null };
}

/** The address ranges of the cluster's nodes; null if the config does not have them. */
export const nodeRanges = ({ network, prometheus }: Ranges): string[] | null =>
  network.nodes ?? prometheus.kubelets?.nodes ?? null;

/** Refuses private ranges for sessions if the nodes' addresses, which must stay closed, are unknown or contain the range. */
export function nodesStayClosed(
  check: z.core.ParsePayload<Ranges & { tenants: { egress: z.output<typeof tenantEgress> }[] }>,
): void {
  const nodes = nodeRanges(check.value);
  check.value.tenants.forEach((tenant, index) => {
    tenant.egress.forEach(({ cidr, private: isPrivate }, rule) => {
      if (!isPrivate || cidr === null || !isCidr(cidr)) return;
      const fault = (key: string, input: unknown, message: string) =>
        check.issues.push({ code: "custom", input, path: ["tenants", index, "egress", rule, key], message });
      if (nodes === null)
        fault("private", true, "needs network.nodes, the addresses of the nodes, so that they stay closed; set it");
      const around = nodes?.find((range) => isCidr(range) && contains(range, cidr));
      if (around !== undefined)
        fault(
          "cidr",
          cidr,
          `lies in ${around}, the addresses of the nodes, which sessions can never reach; name the nodes' ranges exactly in network.nodes, or remove the rule`,
        );
    });
  });
}

/**
 * Refuses each rule of a tenant's `egress` that names a tenant's namespace. These are the namespaces with this stack's prefix, and
 * those with the default prefix, because another stack in the same cluster may use the default prefix.
 */
export function tenantsStayApart(
  check: z.core.ParsePayload<{ tenantPrefix: string; tenants: { egress: z.output<typeof tenantEgress> }[] }>,
): void {
  const prefixes = [check.value.tenantPrefix, "tenant-"];
  check.value.tenants.forEach((tenant, index) => {
    tenant.egress.forEach(({ pods }, rule) => {
      if (!prefixes.some((prefix) => pods?.namespace.startsWith(prefix))) return;
      check.issues.push({
        code: "custom",
        input: pods?.namespace,
        path: ["tenants", index, "egress", rule, "pods", "namespace"],
        message: "is a tenant's namespace, and sessions can never reach sessions; name another namespace",
      });
    });
  });
}

export type DnsConfig = z.output<typeof dns>;
/** A rule of an `egress`, of the stack or of a tenant: exactly one of `cidr` and `pods` is not null. */
export type EgressRule = z.output<typeof egress>[number];
