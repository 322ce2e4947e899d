/**
 * For what holds data. Protected, Pulumi refuses to delete or replace it; and should someone lift that in the state only,
 * it still stays in the cluster.
 */
export const dataOptions = (protect) => protect ? { protect, retainOnDelete: true } : {};
/**
 * On a pod that is the only one of its kind: nodes are not emptied of it just to save one. There is no PodDisruptionBudget
 * for such a pod, which could only do nothing or block every node's maintenance.
 */
export const staysOnNode = { "cluster-autoscaler.kubernetes.io/safe-to-evict": "false" };
