/** All CiliumNetworkPolicies of the platform's namespace, for `network.policies: cilium`. */
import { adapterApis } from "../config/adapter-apis.ts";
import { type CiliumSpec, ciliumDns, toApiServers, toNodes } from "../kubernetes/cilium.ts";
import { type Component, selector } from "../kubernetes/labels.ts";
import { tcp } from "../kubernetes/network.ts";
import type { Reachable } from "./network-policies.ts";

/** The specs of the policies, by name. Empty without `network.policies: cilium`. */
export function platformCiliumPolicies(config: Reachable): Record<string, CiliumSpec> {
  if (config.network.policies !== "cilium") return {};
  const callers: Component[] = [
    config.gateway === "inside" ? "api" : "gateway",
    "worker",
    "prometheus",
    ...(adapterApis(config).length > 0 ? (["prometheus-adapter"] as const) : []),
  ];
  return {
    ...ciliumDns(config.network.dns),
    ...Object.fromEntries(
      callers.map((caller) => [`${caller}-kubernetes`, toApiServers(selector(caller), config.kubernetesApi)]),
    ),
    ...(config.prometheus.kubelets && {
      "prometheus-kubelets": toNodes(selector("prometheus"), ["host", "remote-node"], tcp(10250)),
    }),
  };
}
