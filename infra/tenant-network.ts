import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { TenantConfig } from "./config/tenant.ts";
import type { ApiEndpoint } from "./kubernetes/api-endpoints.ts";
import { exceptionsIn } from "./kubernetes/cidr.ts";
import { selector, sessionSelector } from "./kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, podsIn, tcp } from "./kubernetes/network.ts";

type Policy = pulumi.Input<types.input.networking.v1.NetworkPolicySpec>;

/**
 * Whom a tenant's sessions may talk to: DNS, the addresses of the allow list, and on the desktop's port the API. Nobody
 * else, not even a session of the same tenant.
 */
export function tenantPolicies(
  tenant: TenantConfig,
  platformNamespace: pulumi.Input<string>,
  kubernetesApi: pulumi.Input<ApiEndpoint[]>,
): Record<string, Policy> {
  const desktop = pulumi
    .output(platformNamespace)
    .apply((namespace) => allowIngress(sessionSelector, tcp(6080), [podsIn(namespace, selector("api"))]));
  const policies = { "deny-all": denyAll, "allow-dns": allowDns, "desktop-ingress": desktop };
  if (tenant.egress.length === 0) return policies;
  const apiRanges = pulumi.output(kubernetesApi).apply((endpoints) => endpoints.map(({ cidr }) => cidr));
  return { ...policies, "session-egress": apiRanges.apply((ranges) => egressPolicy(tenant.egress, ranges)) };
}

/** The allow list without the internal ranges and the cluster's own API. */
export const egressPolicy = (egress: TenantConfig["egress"], apiRanges: string[]) =>
  allowEgress(
    sessionSelector,
    egress.map(({ cidr, ports }) => ({
      to: [{ ipBlock: { cidr, except: exceptionsIn(cidr, apiRanges) } }],
      ports: tcp(...ports),
    })),
  );
