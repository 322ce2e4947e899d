import type * as pulumi from "@pulumi/pulumi";
import { secondsOf } from "./config/duration.ts";

/** Kinds that `pulumi up` waits for until their pods are ready, or have done their work. */
const workloads = ["apps/v1:Deployment", "apps/v1:StatefulSet", "apps/v1:DaemonSet", "batch/v1:Job"];

/**
 * How long an `up` waits for the pods of a workload before it fails and says which pod isn't ready and why. Put into the
 * `transformations` of the components.
 * @param duration for example 5m
 */
export const rolloutTimeout = (duration: string): pulumi.ResourceTransformation => {
  const timeout = `${secondsOf(duration)}s`;
  return ({ type, props, opts }) =>
    workloads.some((workload) => type === `kubernetes:${workload}`)
      ? { props, opts: { ...opts, customTimeouts: { create: timeout, update: timeout } } }
      : undefined;
};
