import { type KubernetesObject, podOf } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/**
 * Long-running pods have probes that show whether they are alive and ready. Pods of Jobs need none, because they end by
 * themselves.
 */
export function probes(object: KubernetesObject): Faults {
  if (!["Deployment", "StatefulSet", "DaemonSet"].includes(object.kind)) return [];
  return (podOf(object)?.spec?.containers ?? []).flatMap((container) =>
    (["livenessProbe", "readinessProbe"] as const)
      .filter((probe) => container[probe] === undefined)
      .map((probe) => `container ${container.name}: has no ${probe}`),
  );
}
