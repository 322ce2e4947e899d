import { podOf } from "../kubernetes.ts";
/** Every namespace that the stack makes or puts pods into denies all traffic, both ways, that no other policy opens. */
export function networkPolicies(object, all) {
    const namespace = namespaceOf(object);
    if (namespace === undefined || all.some((other) => deniesAll(other, namespace)))
        return [];
    return [`namespace ${namespace} has no NetworkPolicy that denies all traffic in both directions`];
}
/** The namespace that the object is, or puts pods into. */
function namespaceOf(object) {
    if (object.kind === "Namespace")
        return object.metadata.name;
    return podOf(object) && (object.metadata.namespace ?? "default");
}
/** It selects all pods, and allows nothing. */
function deniesAll({ kind, metadata, manifest: { spec } }, namespace) {
    if (kind !== "NetworkPolicy" || metadata.namespace !== namespace)
        return false;
    const { matchLabels = {}, matchExpressions = [] } = spec?.podSelector ?? {};
    const allowed = [...(spec?.ingress ?? []), ...(spec?.egress ?? [])];
    const selectsAll = Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
    return selectsAll && allowed.length === 0 && ["Ingress", "Egress"].every((way) => spec?.policyTypes?.includes(way));
}
