/**
 * Building blocks of network policies. Every policy lists its directions (`policyTypes`). In these directions, a pod that one or
 * more policies select has only the traffic that a rule of one of these policies allows.
 */
import type { types } from "@pulumi/kubernetes";
import type { DnsConfig } from "../config/network.ts";

type Spec = types.input.networking.v1.NetworkPolicySpec;
type Peer = types.input.networking.v1.NetworkPolicyPeer;
type Port = types.input.networking.v1.NetworkPolicyPort;

/** A port of a peer. */
export interface PeerPort {
  protocol: "TCP" | "UDP";
  port: number;
}

export const tcp = (...ports: number[]): PeerPort[] => ports.map((port) => ({ protocol: "TCP", port }));

/** A peer: the pods with these labels in the policy's own namespace. */
export const pods = (matchLabels: Record<string, string>): Peer => ({ podSelector: { matchLabels } });

/** A peer: the pods with these labels (default: all pods) in the namespace with that name. */
export const podsIn = (namespace: string, matchLabels: Record<string, string> = {}): Peer => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels },
});

/** Denies all traffic to and from every pod of the namespace. */
export const denyAll: Spec = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };

/** The protocols of DNS at a port. TCP is needed too, for large answers. */
export const dnsPorts = (port: number): PeerPort[] => (["UDP", "TCP"] as const).map((protocol) => ({ protocol, port }));

/**
 * The spec of a policy that lets pods query the given DNS servers. With Cilium, a server on the pod's own node also needs
 * `ciliumDns`.
 * @param target the labels of the pods; default: all pods of the namespace
 */
export const allowDns = (servers: DnsConfig, target: Record<string, string> = {}): Spec => ({
  podSelector: Object.keys(target).length > 0 ? { matchLabels: target } : {},
  policyTypes: ["Egress"],
  egress: servers.map(({ namespace, labels, cidr, port }) => ({
    to: [...(namespace === null ? [] : [podsIn(namespace, labels)]), ...(cidr === null ? [] : [{ ipBlock: { cidr } }])],
    ports: dnsPorts(port),
  })),
});

/** The spec of a policy that lets the peers `from` (empty: any address) connect to these ports of the pods. */
export const allowIngress = (target: Record<string, string>, ports: Port[], from: Peer[] = []): Spec => ({
  podSelector: { matchLabels: target },
  policyTypes: ["Ingress"],
  ingress: [from.length > 0 ? { from, ports } : { ports }],
});

/** Peers and ports to which pods may connect. */
export interface Opening {
  to: Peer[];
  ports: Port[];
}

/** The openings for connections to these address ranges, each with its port. */
export const toAddresses = (addresses: { cidr: string; port: number }[]): Opening[] =>
  addresses.map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: tcp(port) }));

/** The spec of a policy that lets the pods connect to the peers and ports of all openings. */
export const allowEgress = (target: Record<string, string>, openings: Opening[]): Spec => ({
  podSelector: { matchLabels: target },
  policyTypes: ["Egress"],
  egress: openings,
});
