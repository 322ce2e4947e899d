/**
 * A budget that lets a drain evict one pod of the component at a time. The budget limits unavailable pods instead of requiring
 * available ones, so that a component with only one pod does not block a drain. An unhealthy pod never blocks a drain.
 */
export const disruptionBudget = (matchLabels: Record<string, string>) => ({
  maxUnavailable: 1,
  unhealthyPodEvictionPolicy: "AlwaysAllow",
  selector: { matchLabels },
});
