export const tcp = (...ports) => ports.map((port) => ({ protocol: "TCP", port }));
/** Pods of the policy's own namespace. */
export const pods = (matchLabels) => ({ podSelector: { matchLabels } });
/** Pods with these labels in the namespace of that name: both must hold, hence one peer. */
export const podsIn = (namespace, matchLabels) => ({
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    podSelector: { matchLabels },
});
/** Nothing in, nothing out, for every pod of the namespace. */
export const denyAll = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };
/** Names are resolved by the cluster's DNS and nothing else; TCP too, as large answers need it. */
export const allowDns = {
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
export const allowIngress = (target, ports, from = []) => ({
    podSelector: { matchLabels: target },
    policyTypes: ["Ingress"],
    ingress: [from.length > 0 ? { from, ports } : { ports }],
});
/** Lets the pods reach each of the openings. */
export const allowEgress = (target, openings) => ({
    podSelector: { matchLabels: target },
    policyTypes: ["Egress"],
    egress: openings,
});
