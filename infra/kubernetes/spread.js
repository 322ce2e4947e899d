/**
 * Pods of one kind go to different zones and nodes where they can. "Where they can", as a pod that shares a node serves
 * better than one that waits. Each ReplicaSet is counted by itself, so that a rollout ends as evenly as it began.
 */
export const spread = (matchLabels) => ({
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
