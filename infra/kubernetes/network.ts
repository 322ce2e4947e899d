/** Building blocks of network policies. A policy names its directions always: what it leaves out, it denies. */
import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

type Spec = types.input.networking.v1.NetworkPolicySpec;
type Peer = types.input.networking.v1.NetworkPolicyPeer;
type Port = types.input.networking.v1.NetworkPolicyPort;

export const tcp = (...ports: number[]): Port[] => ports.map((port) => ({ protocol: "TCP", port }));

/** Pods of the policy's own namespace. */
export const pods = (matchLabels: Record<string, string>): Peer => ({ podSelector: { matchLabels } });

/** Pods with these labels (default: all) in the namespace of that name: both must hold, hence one peer. */
export const podsIn = (namespace: string, matchLabels: Record<string, string> = {}): Peer => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
  podSelector: { matchLabels },
});

/** Nothing in, nothing out, for every pod of the namespace. */
export const denyAll: Spec = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };

/** Names are resolved by the cluster's DNS and nothing else; TCP too, as large answers need it. */
export const allowDns: Spec = {
  podSelector: {},
  policyTypes: ["Egress"],
  egress: [
    {
      to: [podsIn("kube-system", { "k8s-app": "kube-dns" })],
      ports: [
        { protocol: "UDP", port: 53 },
        { protocol: "TCP", port: 53 },
      ],
    },
  ],
};

/** Lets `from` (default: anyone) reach the pods on the ports. */
export const allowIngress = (target: Record<string, string>, ports: Port[], from: Peer[] = []): Spec => ({
  podSelector: { matchLabels: target },
  policyTypes: ["Ingress"],
  ingress: [from.length > 0 ? { from, ports } : { ports }],
});

/** Whom pods may reach, on which ports. */
export interface Opening {
  to: Peer[];
  ports: Port[];
}

/** Lets the pods reach each of the openings. */
export const allowEgress = (target: Record<string, string>, openings: pulumi.Input<Opening[]>): Spec => ({
  podSelector: { matchLabels: target },
  policyTypes: ["Egress"],
  egress: openings,
});
