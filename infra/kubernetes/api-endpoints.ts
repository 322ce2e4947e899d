import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { rangeOfAddress } from "../config/cidr.ts";

/** An address and port at which pods reach the Kubernetes API. */
export interface ApiEndpoint {
  cidr: string;
  port: number;
}

/**
 * The addresses of the Kubernetes API servers behind the Service `kubernetes`. Network policies apply after Kubernetes has
 * replaced a Service's address with the address of a server, so a rule for the Service's address would open nothing.
 */
export function apiEndpoints(provider: k8s.Provider): pulumi.Output<ApiEndpoint[]> {
  const slice = k8s.discovery.v1.EndpointSlice.get("kubernetes-api", "default/kubernetes", { provider });
  return pulumi
    .all([slice.endpoints, slice.ports])
    .apply(([endpoints, ports]) =>
      endpoints.flatMap(({ addresses }) =>
        addresses.flatMap((address) => ports.map(({ port }) => ({ cidr: rangeOfAddress(address), port: port ?? 443 }))),
      ),
    );
}
