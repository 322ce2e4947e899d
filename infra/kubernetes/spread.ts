/**
 * Spreads the pods of a component over zones and nodes, if possible. A pod that shares a node is better than a pod that waits,
 * so the spread is not required. Kubernetes counts the pods of each ReplicaSet separately, so that a rollout ends with an even
 * spread.
 */
export const spread = (matchLabels: Record<string, string>) => ({
  topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels },
    matchLabelKeys: ["pod-template-hash"],
  })),
  affinity: {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels } } },
      ],
    },
  },
});
