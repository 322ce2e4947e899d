import type * as pulumi from "@pulumi/pulumi";

/**
 * Resource options for an object that holds data; none if `protect` is false. Pulumi refuses to delete or replace a protected
 * resource. If someone removes the protection only in Pulumi's state, Pulumi still leaves the object in the cluster.
 */
export const dataOptions = (protect: boolean): pulumi.CustomResourceOptions =>
  protect ? { protect, retainOnDelete: true } : {};

/**
 * Annotations for the only pod of a component. They stop node autoscalers (Cluster Autoscaler, Karpenter) from removing the pod's
 * node to save cost. The pod has no PodDisruptionBudget, because a budget for one pod either has no effect or blocks every
 * drain of its node. The pods of sessions have the same annotations (runtime/src/cluster/podSpec/podSpec.ts).
 */
export const staysOnNode = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true",
};
