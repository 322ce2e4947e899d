import type * as pulumi from "@pulumi/pulumi";

/**
 * How long an `up` waits for the pods of a workload before it fails and says which pod isn't ready and why: the options of
 * a Deployment, StatefulSet, DaemonSet or Job. A Job needs `activeDeadlineSeconds` besides, because Pulumi starts to count
 * again whenever another of the Job's pods has failed.
 */
export const rolloutTimeout = (seconds: number): pulumi.CustomResourceOptions => ({
  customTimeouts: { create: `${seconds}s`, update: `${seconds}s` },
});
