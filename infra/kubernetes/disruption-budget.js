/**
 * Nodes may be drained, one pod of the kind after the other. Counted in pods that are missing rather than pods that stay,
 * so that a single pod doesn't hold up a drain for ever; a pod that is ill anyway never does.
 */
export const disruptionBudget = (matchLabels) => ({
    maxUnavailable: 1,
    unhealthyPodEvictionPolicy: "AlwaysAllow",
    selector: { matchLabels },
});
