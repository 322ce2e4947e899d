import { type KubernetesObject, podOf } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/**
 * Every namespace that the stack creates, or in which it creates pods, must have a NetworkPolicy that denies all traffic by
 * default, in both directions.
 */
export function networkPolicies(object: KubernetesObject, all: KubernetesObject[]): Faults {
  const namespace = namespaceOf(object);
  if (namespace === undefined || all.some((other) => deniesAll(other, namespace))) return [];
  return [`namespace ${namespace} has no NetworkPolicy that denies all traffic in both directions`];
}

/** The name of the namespace that the object is, or in which the object creates pods. Undefined for all other objects. */
function namespaceOf(object: KubernetesObject): string | undefined {
  if (object.kind === "Namespace") return object.metadata.name;
  return podOf(object) && (object.metadata.namespace ?? "default");
}

/** Whether the policy selects all pods and allows nothing. */
function deniesAll({ kind, metadata, manifest: { spec } }: KubernetesObject, namespace: string): boolean {
  if (kind !== "NetworkPolicy" || metadata.namespace !== namespace) return false;
  const { matchLabels = {}, matchExpressions = [] } = spec?.podSelector ?? {};
  const allowed = [...(spec?.ingress ?? []), ...(spec?.egress ?? [])];
  const selectsAll = Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
  return selectsAll && allowed.length === 0 && ["Ingress", "Egress"].every((way) => spec?.policyTypes?.includes(way));
}
