import { containersOf, type KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** Containers declare the resources that they need and may use at most, so that no container takes what other containers need. */
export function resources(object: KubernetesObject): Faults {
  return containersOf(object).flatMap((container) =>
    (["requests", "limits"] as const).flatMap((kind) =>
      ["cpu", "memory"]
        .filter((resource) => container.resources?.[kind]?.[resource] === undefined)
        .map((resource) => `container ${container.name}: set resources.${kind}.${resource}`),
    ),
  );
}
