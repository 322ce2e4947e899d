import type { KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** On the namespace of a tenant whose entry says `remove: true`. */
const removal = "berth.dev/remove";

/** Volumes, and the namespaces with which they would go, can't be deleted by a slip of the program or of its config. */
export function protectedData({ kind, metadata, manifest, protect }: KubernetesObject): Faults {
  const holdsData =
    kind === "PersistentVolumeClaim" ||
    kind === "Namespace" ||
    (kind === "StatefulSet" && (manifest.spec?.volumeClaimTemplates ?? []).length > 0);
  const mayGo = metadata.annotations?.[removal] === "true";
  return holdsData && !protect && !mayGo ? ["holds data: set the resource option protect"] : [];
}
