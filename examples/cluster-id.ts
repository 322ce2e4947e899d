import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

/**
 * The value for `berth:clusterId`: the UID of the cluster's namespace kube-system.
 * @param kubeconfig the content of a kubeconfig
 */
export function clusterIdOf(kubeconfig: pulumi.Input<string>): pulumi.Output<string> {
  const provider = new k8s.Provider("cluster", { kubeconfig });
  return k8s.core.v1.Namespace.get("kube-system", "kube-system", { provider }).metadata.uid;
}
