import type { KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

const enforce = "pod-security.kubernetes.io/enforce";

/**
 * Namespaces enforce the Pod Security level `restricted` in a pinned version for all pods, including pods that the runtime
 * creates.
 */
export function restrictedNamespaces({ kind, metadata }: KubernetesObject): Faults {
  if (kind !== "Namespace") return [];
  const labels = metadata.labels ?? {};
  const faults: Faults = [];
  if (labels[enforce] !== "restricted") faults.push(`set the label ${enforce}: restricted`);
  if (!/^v1\.\d+$/.test(labels[`${enforce}-version`] ?? ""))
    faults.push(`pin the rules' version by the label ${enforce}-version, for example v1.34`);
  return faults;
}
