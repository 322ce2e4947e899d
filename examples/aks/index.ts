/** A cluster on Azure Kubernetes Service whose network plugin enforces policies, and a registry for Berth's images. */
import * as azure from "@pulumi/azure";
import * as pulumi from "@pulumi/pulumi";
import { factsOf } from "../cluster-facts.ts";

const group = new azure.core.ResourceGroup("berth");

const cluster = new azure.containerservice.KubernetesCluster("berth", {
  resourceGroupName: group.name,
  dnsPrefix: "berth",
  kubernetesVersion: "1.34",
  identity: { type: "SystemAssigned" },
  // Cilium enforces network policies.
  networkProfile: {
    networkPlugin: "azure",
    networkPluginMode: "overlay",
    networkDataPlane: "cilium",
    networkPolicy: "cilium",
  },
  defaultNodePool: {
    name: "berth",
    vmSize: "Standard_D4s_v5",
    autoScalingEnabled: true,
    minCount: 3,
    maxCount: 8,
  },
});

const images = new azure.containerservice.Registry("berth", {
  resourceGroupName: group.name,
  sku: "Standard",
});
// The nodes pull with their own identity, so that Berth needs no `registryLogins`.
new azure.authorization.Assignment("pull", {
  scope: images.id,
  roleDefinitionName: "AcrPull",
  principalId: cluster.kubeletIdentity.objectId,
});

export const kubeconfig = pulumi.secret(cluster.kubeConfigRaw);
export const { clusterId, kubernetesApi } = factsOf(cluster.kubeConfigRaw);
/** The value for `berth:registry`. */
export const registry = pulumi.interpolate`${images.loginServer}/berth`;

// AKS makes a network for the nodes, with the subnet `aks-subnet`, in a resource group that has nothing but parts of the cluster.
const resourceGroupName = cluster.nodeResourceGroup;
const networks = azure.core.getResourcesOutput({ resourceGroupName, type: "Microsoft.Network/virtualNetworks" });
const virtualNetworkName = networks.resources.apply(([network]) => network?.name ?? "");
/** The value for `berth:prometheus.kubelets.nodes`: the address ranges of the subnet in which the nodes are. */
export const nodes = azure.network.getSubnetOutput({
  resourceGroupName,
  virtualNetworkName,
  name: "aks-subnet",
}).addressPrefixes;
