import type * as pulumi from "@pulumi/pulumi";
import { secondsOf } from "../config/duration.ts";

/** Kinds that `pulumi up` waits for until their pods are ready, or have done their work. */
const workloads = ["apps/v1:Deployment", "apps/v1:StatefulSet", "apps/v1:DaemonSet", "batch/v1:Job"];

/**
 * How long an `up` waits for the pods of a workload before it fails and says which pod isn't ready and why. Put into the
 * `transformations` of the components.
 * @param duration for example 5m
 */
export const rolloutTimeout = (duration: string): pulumi.ResourceTransformation => {
  const seconds = secondsOf(duration) ?? 300;
  const customTimeouts = { create: `${seconds}s`, update: `${seconds}s` };
  return ({ type, props, opts }) => {
    if (!workloads.some((workload) => type === `kubernetes:${workload}`)) return undefined;
    // Pulumi counts a Job's time anew whenever another of its pods has failed, so the Job has a clock of its own.
    const limited = type.endsWith(":Job") ? withDeadline(props, seconds) : props;
    return { props: limited, opts: { ...opts, customTimeouts } };
  };
};

const withDeadline = ({ spec, ...props }: pulumi.Inputs, seconds: number): pulumi.Inputs => ({
  ...props,
  spec: { ...spec, activeDeadlineSeconds: seconds },
});
