/** All CiliumNetworkPolicies of the platform's namespace, for `network.policies: cilium`. */
import * as pulumi from "@pulumi/pulumi";
import { adapterApis } from "../config/adapter-apis.ts";
import type { ApiEndpoint } from "../kubernetes/api-endpoints.ts";
import { type CiliumSpec, ciliumDns, toNodes } from "../kubernetes/cilium.ts";
import { type Component, selector } from "../kubernetes/labels.ts";
import { tcp } from "../kubernetes/network.ts";
import type { Reachable } from "./network-policies.ts";

/**
 * The specs of the policies, by name. Empty without `network.policies: cilium`.
 * @param kubernetesApi addresses of the Kubernetes API, whose ports the policies open
 */
export function platformCiliumPolicies(
  config: Reachable,
  kubernetesApi: pulumi.Input<ApiEndpoint[]>,
): Record<string, pulumi.Input<CiliumSpec>> {
  if (config.network.policies !== "cilium") return {};
  const callers: Component[] = [
    config.gateway === "inside" ? "api" : "gateway",
    "worker",
    "prometheus",
    ...(adapterApis(config).length > 0 ? (["prometheus-adapter"] as const) : []),
  ];
  const apiPorts = pulumi
    .output(kubernetesApi)
    .apply((endpoints) => tcp(...new Set(endpoints.map(({ port }) => port))));
  return {
    ...ciliumDns(config.network.dns),
    ...Object.fromEntries(
      callers.map((caller) => [
        `${caller}-kubernetes`,
        apiPorts.apply((ports) => toNodes(selector(caller), ["kube-apiserver"], ports)),
      ]),
    ),
    ...(config.prometheus.kubelets && {
      "prometheus-kubelets": toNodes(selector("prometheus"), ["host", "remote-node"], tcp(10250)),
    }),
  };
}
