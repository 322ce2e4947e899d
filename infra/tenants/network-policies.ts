import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { closedRanges } from "../config/network.ts";
import type { TenantConfig } from "../config/tenant.ts";
import { egressOpenings } from "../kubernetes/egress.ts";
import { selector, sessionSelector } from "../kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, podsIn, tcp } from "../kubernetes/network.ts";

type Policy = pulumi.Input<types.input.networking.v1.NetworkPolicySpec>;

/** The values, apart from the tenant's own config, that determine a tenant's network policies. */
export interface Surroundings extends Pick<Config, "network" | "kubernetesApi" | "prometheus"> {
  platformNamespace: pulumi.Input<string>;
  gateway: Config["gateway"];
}

/**
 * The network policies of a tenant's sessions. A session may reach DNS, the gateway's port for sessions, and what the tenant's
 * `egress` names. The gateway may reach the session's desktop and berthd's services, and Prometheus may reach the session's
 * metrics. No other traffic is allowed, not even between sessions of the same tenant. Sessions that started before the gateway
 * had separate pods use the API's port for sessions, so this port stays open too.
 */
export function tenantPolicies(tenant: TenantConfig, around: Surroundings): Record<string, Policy> {
  const { network, platformNamespace } = around;
  const gateway = around.gateway === "inside" ? "api" : "gateway";
  const channels = [...new Set(["api", gateway] as const)];
  const platform = pulumi.output(platformNamespace);
  const policies = {
    "deny-all": denyAll,
    "allow-dns": allowDns(network.dns, sessionSelector),
    "desktop-ingress": platform.apply((namespace) =>
      allowIngress(sessionSelector, tcp(6080, 6082), [podsIn(namespace, selector(gateway))]),
    ),
    "metrics-ingress": platform.apply((namespace) =>
      allowIngress(sessionSelector, tcp(6081), [podsIn(namespace, selector("prometheus"))]),
    ),
    "channel-egress": platform.apply((namespace) =>
      allowEgress(sessionSelector, [
        { to: channels.map((component) => podsIn(namespace, selector(component))), ports: tcp(3002) },
      ]),
    ),
  };
  if (tenant.egress.length === 0) return policies;
  return {
    ...policies,
    "session-egress": allowEgress(sessionSelector, egressOpenings(tenant.egress, closedRanges(around))),
  };
}
