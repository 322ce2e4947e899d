import type { KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** Services are reachable only inside the cluster. Users reach Berth only through the Ingress, which has TLS and limits. */
export function noPublicService({ kind, manifest }: KubernetesObject): Faults {
  if (kind !== "Service") return [];
  const { type = "ClusterIP", externalIPs = [] } = manifest.spec ?? {};
  const faults: Faults = [];
  if (type === "LoadBalancer" || type === "NodePort") faults.push(`is a ${type}: use ClusterIP and the Ingress`);
  if (externalIPs.length > 0) faults.push("has externalIPs: use the Ingress");
  return faults;
}
