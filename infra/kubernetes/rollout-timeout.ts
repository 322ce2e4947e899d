import type * as pulumi from "@pulumi/pulumi";

/**
 * Resource options for a Deployment, StatefulSet, DaemonSet or Job. They limit how long an `up` waits for the pods before the
 * `up` fails and says which pod isn't ready and why. A Job also needs `activeDeadlineSeconds`, because Pulumi restarts the
 * timeout each time a pod of the Job fails.
 */
export const rolloutTimeout = (seconds: number): pulumi.CustomResourceOptions => ({
  customTimeouts: { create: `${seconds}s`, update: `${seconds}s` },
});
