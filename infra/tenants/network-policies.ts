import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { contains, exceptionsIn } from "../config/cidr.ts";
import type { TenantConfig } from "../config/tenant.ts";
import type { ApiEndpoint } from "../kubernetes/api-endpoints.ts";
import { selector, sessionSelector } from "../kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, podsIn, tcp } from "../kubernetes/network.ts";

type Policy = pulumi.Input<types.input.networking.v1.NetworkPolicySpec>;

/**
 * Whom a tenant's sessions may talk to: DNS, the gateway on the port that is for sessions, and the addresses of the allow
 * list. Who may talk to them: the gateway on the ports of the desktop and of berthd's services, Prometheus on that of the
 * metrics. Nobody else, not even a session of the same tenant. Those that were started before there was a gateway know the
 * API's address for sessions, so that stays open too.
 * @param gateway the component whose pods are the gateway
 */
export function tenantPolicies(
  tenant: TenantConfig,
  platformNamespace: pulumi.Input<string>,
  kubernetesApi: pulumi.Input<ApiEndpoint[]>,
  gateway: "api" | "gateway",
): Record<string, Policy> {
  const channels = [...new Set(["api", gateway] as const)];
  const platform = pulumi.output(platformNamespace);
  const policies = {
    "deny-all": denyAll,
    "allow-dns": allowDns,
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
  const apiRanges = pulumi.output(kubernetesApi).apply((endpoints) => endpoints.map(({ cidr }) => cidr));
  return { ...policies, "session-egress": apiRanges.apply((ranges) => egressPolicy(tenant, ranges)) };
}

/**
 * The allow list without the internal ranges and the cluster's own API.
 * @throws pulumi.RunError for a rule that lies in the API's addresses, which could allow nothing
 */
export function egressPolicy({ name, egress }: Pick<TenantConfig, "name" | "egress">, apiRanges: string[]) {
  for (const { cidr } of egress) {
    const api = apiRanges.find((range) => contains(range, cidr));
    if (api === undefined) continue;
    throw new pulumi.RunError(
      `tenant ${name}, egress ${cidr}: lies in ${api}, the cluster's own API, which sessions never reach; take it out`,
    );
  }
  return allowEgress(
    sessionSelector,
    egress.map(({ cidr, ports }) => ({
      to: [{ ipBlock: { cidr, except: exceptionsIn(cidr, apiRanges) } }],
      ports: tcp(...ports),
    })),
  );
}
