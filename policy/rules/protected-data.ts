import type { KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** An annotation on the namespace of a tenant whose config entry has `remove: true`. */
const removal = "berth.dev/remove";

/**
 * Volumes and namespaces must be protected, so that a mistake in the program or its config can't delete them. Only the namespace
 * of a tenant with `remove: true` need not be. The deletion of a namespace would also delete the volumes in it.
 */
export function protectedData({ kind, metadata, manifest, protect }: KubernetesObject): Faults {
  const holdsData =
    kind === "PersistentVolumeClaim" ||
    kind === "Namespace" ||
    (kind === "StatefulSet" && (manifest.spec?.volumeClaimTemplates ?? []).length > 0);
  const mayGo = metadata.annotations?.[removal] === "true";
  return holdsData && !protect && !mayGo ? ["holds data: set the resource option protect"] : [];
}
