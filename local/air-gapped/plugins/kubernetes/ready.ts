/** Decides whether an object is ready. A run of Pulumi waits until the objects of some kinds are ready. */
import { isObject, type Props } from "../protocol/values.ts";
import { annotated, type KubeObject, metadataOf } from "./object.ts";

/** `true`: the object is ready. A string: what is still missing. `failed`: why the object will never be ready. */
export type Readiness = true | string | { failed: string };

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

type ReadinessOf = (status: Props, spec: Props, object: KubeObject) => Readiness;

/**
 * The kinds whose objects must become ready, each with the function that decides. Services and Ingresses are not in the list: all
 * Services and Ingresses of the stack have the annotation pulumi.com/skipAwait, so Pulumi does not wait for them.
 */
const readinessOf: Record<string, ReadinessOf> = {
  Deployment(status, spec) {
    const failure = conditions(status).find(({ reason }) => reason === "ProgressDeadlineExceeded");
    if (failure) return { failed: failure.message ?? "it made no progress in time" };
    const { wanted, updated, available, all } = {
      wanted: count(spec.replicas ?? 1),
      updated: count(status.updatedReplicas),
      available: count(status.availableReplicas),
      all: count(status.replicas),
    };
    if (updated < wanted) return `${updated} of ${wanted} new pods are made`;
    if (all > updated) return `${all - updated} old pods are still there`;
    return available >= updated || `${available} of ${updated} pods are available`;
  },
  StatefulSet(status, spec) {
    const [wanted, ready] = [count(spec.replicas ?? 1), count(status.readyReplicas)];
    if (status.updateRevision !== status.currentRevision) return "old pods are still to be replaced";
    return ready >= wanted || `${ready} of ${wanted} pods are ready`;
  },
  DaemonSet(status) {
    const [wanted, updated, available] = [
      count(status.desiredNumberScheduled),
      count(status.updatedNumberScheduled),
      count(status.numberAvailable),
    ];
    if (updated < wanted) return `${updated} of ${wanted} new pods are made`;
    return available >= wanted || `${available} of ${wanted} pods are available`;
  },
  Job(status) {
    const failure = conditions(status).find(({ type, status }) => type === "Failed" && status === "True");
    if (failure) return { failed: failure.message ?? "the Job has failed" };
    const complete = conditions(status).some(({ type, status }) => type === "Complete" && status === "True");
    return complete || "the Job has not done its work";
  },
  PersistentVolumeClaim: (status) => status.phase === "Bound" || `the claim is ${status.phase ?? "new"}`,
  ResourceQuota: (status) => isObject(status.hard) || "the quota has not been counted",
};

export const isWaitedFor = (object: Props): boolean =>
  String(object.kind) in readinessOf && !annotated(object, "skipAwait");

/** Returns the object's readiness. Pure. */
export function readiness(object: KubeObject): Readiness {
  const [status, spec] = [object.status, object.spec].map((part) => (isObject(part) ? part : {})) as [Props, Props];
  const { generation = 0 } = metadataOf(object);
  if ("observedGeneration" in status && count(status.observedGeneration) < generation)
    return "its controller has not seen it";
  if (object.kind !== "Job" && /Deployment|Set$/.test(object.kind) && !("observedGeneration" in status))
    return "its controller has not seen it";
  return readinessOf[object.kind]?.(status, spec, object) ?? true;
}

const count = (value: unknown): number => Number(value ?? 0);
const conditions = (status: Props): Condition[] => (status.conditions ?? []) as Condition[];
