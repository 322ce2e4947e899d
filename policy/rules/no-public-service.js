/** Services are reached inside the cluster only; the one way in is the Ingress, where TLS and limits are. */
export function noPublicService({ kind, manifest }) {
    if (kind !== "Service")
        return [];
    const { type = "ClusterIP", externalIPs = [] } = manifest.spec ?? {};
    const faults = [];
    if (type === "LoadBalancer" || type === "NodePort")
        faults.push(`is a ${type}: use ClusterIP and the Ingress`);
    if (externalIPs.length > 0)
        faults.push("has externalIPs: use the Ingress");
    return faults;
}
