import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
/**
 * The real addresses behind the Service `kubernetes`. Network policies see packets after the Service address is replaced
 * by one of these, so a rule for the Service's own address would open nothing.
 */
export function apiEndpoints(provider) {
    const slice = k8s.discovery.v1.EndpointSlice.get("kubernetes-api", "default/kubernetes", { provider });
    return pulumi
        .all([slice.endpoints, slice.ports])
        .apply(([endpoints, ports]) => endpoints.flatMap(({ addresses }) => addresses.flatMap((address) => ports.map(({ port }) => ({ cidr: `${address}/${address.includes(":") ? 128 : 32}`, port: port ?? 443 })))));
}
