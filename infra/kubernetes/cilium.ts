/**
 * CiliumNetworkPolicies. Cilium knows its own nodes by identities and not by addresses, so an address range in a NetworkPolicy
 * does not open a connection to a node. These policies open such connections in addition to the NetworkPolicies.
 */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { contains } from "../config/cidr.ts";
import type { DnsConfig } from "../config/network.ts";
import { dnsPorts, type PeerPort, tcp } from "./network.ts";

interface CiliumRule {
  toEntities: ("kube-apiserver" | "host" | "remote-node")[];
  toPorts: { ports: { port: string; protocol: string }[] }[];
}

/** The spec of a CiliumNetworkPolicy. */
export interface CiliumSpec {
  endpointSelector: { matchLabels: Record<string, string> };
  egress: CiliumRule[];
}

/**
 * The spec of a policy that lets the pods with the labels `matchLabels` connect to nodes. `toEntities` names the kinds of nodes in
 * Cilium's terms: `host` is the pod's own node, `remote-node` each other node, and `kube-apiserver` the Kubernetes API server.
 */
export const toNodes = (
  matchLabels: Record<string, string>,
  toEntities: CiliumRule["toEntities"],
  ports: PeerPort[],
): CiliumSpec => ({
  endpointSelector: { matchLabels },
  egress: [{ toEntities, toPorts: [{ ports: ports.map(({ port, protocol }) => ({ port: String(port), protocol })) }] }],
});

/** The spec of a policy that lets the pods connect to the Kubernetes API servers, on the ports of `kubernetesApi`. */
export const toApiServers = (matchLabels: Record<string, string>, kubernetesApi: { port: number }[]): CiliumSpec =>
  toNodes(matchLabels, ["kube-apiserver"], tcp(...new Set(kubernetesApi.map(({ port }) => port))));

/** The link-local ranges. A DNS server with such an address runs on the pod's own node. */
const linkLocal = ["169.254.0.0/16", "fe80::/10"];

/** The spec of the policy `allow-dns` for DNS servers on the pod's own node. Empty if the config has no such server. */
export function ciliumDns(servers: DnsConfig, target: Record<string, string> = {}): Record<string, CiliumSpec> {
  const ports = servers
    .filter(({ cidr }) => cidr !== null && linkLocal.some((range) => contains(range, cidr)))
    .flatMap(({ port }) => dnsPorts(port));
  return ports.length > 0 ? { "allow-dns": toNodes(target, ["host"], ports) } : {};
}

/** Makes a CiliumNetworkPolicy. */
export const ciliumPolicy = (
  name: string,
  metadata: k8s.types.input.meta.v1.ObjectMeta,
  spec: CiliumSpec,
  opts: pulumi.CustomResourceOptions,
): pulumi.CustomResource =>
  new k8s.apiextensions.CustomResource(
    name,
    { apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata, spec },
    opts,
  );
