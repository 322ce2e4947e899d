/** The rules of the keys `egress`: what the platform's pods and sessions may reach in addition to the stack's own pods. */
import { z } from "zod";
import { contains, internalRangeOf, isCidr, metadataRangeOf, privateRanges } from "./cidr.ts";
import { type network, nodeRanges, oneOf, pods } from "./network.ts";
import type { kubernetesApi } from "./platform.ts";
import { cidr, port } from "./scalars.ts";

const ports = z
  .array(port)
  .min(1, { error: "is empty; name at least one port" })
  .default([443])
  .describe(
    "TCP ports. For pods: the ports on which the pods listen. The ports of the pods' Service may be different.",
  );

/** Refuses a range that no rule can open. Only a tenant's rule has the key `private`. */
function openable({ value, issues }: z.core.ParsePayload<{ cidr: string | null; private?: boolean }>): void {
  const { cidr, private: isPrivate } = value;
  const fault = (message: string, path: keyof typeof value = "cidr") =>
    issues.push({ code: "custom", input: value[path], path: [path], message });
  if (cidr === null && isPrivate) fault("has no effect on `pods`, because it belongs to `cidr`; remove it", "private");
  if (cidr === null || !isCidr(cidr)) return;
  const internal = internalRangeOf(cidr);
  const metadata = metadataRangeOf(cidr);
  const inPrivate = internal !== undefined && privateRanges.includes(internal);
  if (metadata) fault(`lies in ${metadata}, the addresses of metadata services, which no \`egress\` opens; remove it`);
  else if (internal && !inPrivate)
    fault(`lies in ${internal}, which is internal, and no \`egress\` opens it; remove it`);
  else if (internal && isPrivate === false)
    fault(`lies in ${internal}, which is private; set \`private: true\` if sessions may reach it, or remove it`);
  else if (!internal && isPrivate)
    fault(
      `lies in no private range (${privateRanges.join(", ")}), and \`private: true\` opens no other; name the private range`,
    );
}

/** The rules of the stack's `egress`: to which addresses and pods the API, the gateway and the worker may connect. */
export const egress = z.array(
  z
    .strictObject({
      cidr: cidr
        .nullable()
        .default(null)
        .describe(
          "An address range, for example 203.0.113.0/24. If the range contains private ranges, metadata services, nodes or the Kubernetes API, these stay closed. To open a private range, name the private range itself. Needs the nodes' addresses (`network.nodes`).",
        ),
      pods: pods.nullable().default(null).describe("Pods of the cluster, instead of an address range."),
      ports,
    })
    .check(oneOf("cidr", "pods"), openable),
);

/** The rules of a tenant's `egress`: to which addresses and pods the tenant's sessions may connect. */
export const tenantEgress = z.array(
  z
    .strictObject({
      cidr: cidr
        .nullable()
        .default(null)
        .describe(
          "An address range that sessions may reach. If the range contains private ranges, metadata services, nodes or the Kubernetes API, these stay closed. Needs the nodes' addresses (`network.nodes`).",
        ),
      private: z
        .boolean()
        .default(false)
        .describe(
          `Whether \`cidr\` is a range in a private network (${privateRanges.join(", ")}), for example of a mirror or a proxy. Metadata services, nodes (\`network.nodes\`) and the Kubernetes API in the range stay closed. All other addresses in the range are open, also pods, unless a network policy of these pods refuses the connection.`,
        ),
      pods: pods
        .nullable()
        .default(null)
        .describe("Pods of the cluster that sessions may reach, for example a gateway to models, instead of `cidr`."),
      ports,
    })
    .check(oneOf("cidr", "pods"), openable),
);

/** A rule of an `egress`, of the stack or of a tenant: exactly one of `cidr` and `pods` is not null. */
export type EgressRule = z.output<typeof egress>[number];

interface Closed extends Pick<Parameters<typeof nodeRanges>[0], "prometheus"> {
  network: z.output<typeof network>;
  kubernetesApi: z.output<typeof kubernetesApi>;
  egress: EgressRule[];
  tenants: { egress: z.output<typeof tenantEgress> }[];
}

/**
 * Refuses address ranges if the nodes' addresses, which must stay closed in every range, are unknown, and ranges that lie in the
 * addresses of the nodes or of the Kubernetes API.
 */
export function nodesStayClosed({ value, issues }: z.core.ParsePayload<Closed>): void {
  const nodes = nodeRanges(value);
  const api = value.kubernetesApi.map(({ cidr }) => cidr);
  const rules = [
    ...value.egress.map((rule, index) => ({ rule, path: ["egress", index] })),
    ...value.tenants.flatMap(({ egress }, tenant) =>
      egress.map((rule, index) => ({ rule, path: ["tenants", tenant, "egress", index] })),
    ),
  ];
  for (const { rule, path } of rules) {
    const { cidr } = rule;
    if (cidr === null || !isCidr(cidr)) continue;
    const fault = (message: string) => issues.push({ code: "custom", input: cidr, path: [...path, "cidr"], message });
    const around = (ranges: string[] | null) => ranges?.find((range) => isCidr(range) && contains(range, cidr));
    if (nodes === null)
      fault("needs network.nodes, the addresses of the nodes, so that they stay closed in this range; set it");
    const [inNodes, inApi] = [around(nodes), around(api)];
    if (inNodes !== undefined)
      fault(
        `lies in ${inNodes}, the addresses of the nodes, which no \`egress\` opens; name the nodes' ranges exactly in network.nodes, or remove the rule`,
      );
    else if (inApi !== undefined)
      fault(
        `lies in ${inApi}, the addresses of the Kubernetes API (kubernetesApi), which no \`egress\` opens; remove the rule`,
      );
  }
}
