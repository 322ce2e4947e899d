import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/** The values of a cluster for the config of Berth. */
interface ClusterFacts {
  /** The value for `berth:clusterId`: the UID of the cluster's namespace kube-system. */
  clusterId: pulumi.Output<string>;
  /** The value for `berth:kubernetesApi`: the addresses and ports of the Kubernetes API servers. */
  kubernetesApi: pulumi.Output<{ cidr: string; port: number }[]>;
}

/** Reads the facts from the cluster. @param kubeconfig the content of a kubeconfig */
export function factsOf(kubeconfig: pulumi.Input<string>): ClusterFacts {
  const provider = new k8s.Provider("cluster", { kubeconfig });
  const slice = k8s.discovery.v1.EndpointSlice.get("kubernetes", "default/kubernetes", { provider });
  return {
    clusterId: k8s.core.v1.Namespace.get("kube-system", "kube-system", { provider }).metadata.uid,
    kubernetesApi: pulumi
      .all([slice.endpoints, slice.ports])
      .apply(([endpoints, ports]) =>
        endpoints.flatMap(({ addresses }) =>
          addresses.flatMap((address) =>
            ports.map(({ port }) => ({ cidr: `${address}/${address.includes(":") ? 128 : 32}`, port: port ?? 443 })),
          ),
        ),
      ),
  };
}
