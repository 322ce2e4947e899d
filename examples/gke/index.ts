/** A cluster on GKE with a Gateway API, gVisor nodes for sessions, and a registry for Berth's images. */
import * as gcp from "@pulumi/gcp";
import * as pulumi from "@pulumi/pulumi";
import { factsOf } from "../cluster-facts.ts";

const config = new pulumi.Config("gcp");
const [project, location] = [config.require("project"), config.require("region")];

// The network `default` has a subnet in each region. The nodes are in the subnet of the cluster's region.
const subnet = gcp.compute.getSubnetworkOutput({ name: "default", region: location });
const cluster = new gcp.container.Cluster("berth", {
  location,
  network: "default",
  subnetwork: subnet.name,
  removeDefaultNodePool: true,
  initialNodeCount: 1,
  deletionProtection: false,
  // This data plane enforces network policies.
  datapathProvider: "ADVANCED_DATAPATH",
  // Newer versions have NodeLocal DNSCache in any case. With this option, `network.dns` in berth.yaml is right for all versions.
  addonsConfig: { dnsCacheConfig: { enabled: true } },
  gatewayApiConfig: { channel: "CHANNEL_STANDARD" },
  workloadIdentityConfig: { workloadPool: `${project}.svc.id.goog` },
});
const pool = { cluster: cluster.id, autoscaling: { minNodeCount: 1, maxNodeCount: 4 } };
const scopes = ["https://www.googleapis.com/auth/cloud-platform"];
const platform = new gcp.container.NodePool("platform", {
  ...pool,
  nodeConfig: { machineType: "e2-standard-4", oauthScopes: scopes },
});
// Sessions run on these nodes if the tenant has `runtimeClassName: gvisor`, as in berth.yaml.
new gcp.container.NodePool("sessions", {
  ...pool,
  nodeConfig: { machineType: "e2-standard-8", oauthScopes: scopes, sandboxConfig: { sandboxType: "gvisor" } },
});

const repository = new gcp.artifactregistry.Repository("berth", { location, repositoryId: "berth", format: "DOCKER" });

/**
 * Users of this kubeconfig need Google's program gke-gcloud-auth-plugin, which gets new credentials when the old ones
 * expire.
 */
export const kubeconfig = pulumi.secret(
  pulumi.all([cluster.name, cluster.endpoint, cluster.masterAuth]).apply(([name, endpoint, { clusterCaCertificate }]) =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": name,
      clusters: [
        {
          name,
          cluster: { server: `https://${endpoint}`, "certificate-authority-data": clusterCaCertificate },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: name } }],
      users: [
        {
          name,
          user: {
            exec: {
              apiVersion: "client.authentication.k8s.io/v1beta1",
              command: "gke-gcloud-auth-plugin",
              interactiveMode: "Never",
              provideClusterInfo: true,
            },
          },
        },
      ],
    }),
  ),
);
// The program waits for the nodes of the platform, because the API server may not answer while GKE makes the first nodes.
export const { clusterId, kubernetesApi } = factsOf(
  pulumi.all([kubeconfig, platform.id]).apply(([content]) => content),
);
/** The value for `berth:registry`. */
export const registry = pulumi.interpolate`${location}-docker.pkg.dev/${project}/${repository.repositoryId}/berth`;
/** The value for `berth:prometheus.kubelets.nodes`: the address range of the subnet in which the nodes are. */
export const nodes = [subnet.ipCidrRange];
