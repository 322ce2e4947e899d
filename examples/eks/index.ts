/** A cluster on Amazon EKS whose nodes enforce network policies and have volumes, and a registry for Berth's images. */
import * as aws from "@pulumi/aws";
import * as eks from "@pulumi/eks";
import * as pulumi from "@pulumi/pulumi";
import { clusterIdOf } from "../cluster-id.ts";

const cluster = new eks.Cluster("berth", {
  version: "1.34",
  instanceType: "m7i.xlarge",
  desiredCapacity: 3,
  minSize: 3,
  maxSize: 10,
  createOidcProvider: true,
  // Without this, Amazon's network plugin accepts network policies and ignores them.
  vpcCniOptions: { enableNetworkPolicy: true },
});

// A new EKS cluster can't make volumes. The driver runs as a ServiceAccount that has Amazon's own policy for it.
const subject = "system:serviceaccount:kube-system:ebs-csi-controller-sa";
const driverRole = new aws.iam.Role("ebs-csi", {
  assumeRolePolicy: pulumi.all([cluster.oidcProviderArn, cluster.oidcProviderUrl]).apply(([provider, url]) =>
    aws.iam.getPolicyDocumentOutput({
      statements: [
        {
          actions: ["sts:AssumeRoleWithWebIdentity"],
          principals: [{ type: "Federated", identifiers: [provider] }],
          conditions: [{ test: "StringEquals", variable: `${url.replace("https://", "")}:sub`, values: [subject] }],
        },
      ],
    }),
  ).json,
});
new aws.iam.RolePolicyAttachment("ebs-csi", {
  role: driverRole.name,
  policyArn: "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
});
new aws.eks.Addon("ebs-csi", {
  clusterName: cluster.eksCluster.name,
  addonName: "aws-ebs-csi-driver",
  serviceAccountRoleArn: driverRole.arn,
  // The driver makes the StorageClass ebs-csi-default-sc, which is the default.
  configurationValues: JSON.stringify({ defaultStorageClass: { enabled: true } }),
});

// ECR makes no repository by itself when an image is pushed.
const repositories = ["api", "agent", "berthd"].map(
  (image) => new aws.ecr.Repository(`berth-${image}`, { name: `berth/${image}`, forceDelete: true }),
);

export const kubeconfig = pulumi.secret(cluster.kubeconfigJson);
export const clusterId = clusterIdOf(cluster.kubeconfigJson);
/** The value for `berth:registry`. */
export const registry = repositories[0]?.repositoryUrl.apply((url) => url.replace(/\/api$/, ""));
/** The value for `berth:kubernetesApi`: the subnets in which EKS gives addresses to the API server. */
export const kubernetesApi = cluster.core.subnetIds.apply((ids) =>
  pulumi.all(ids.map((id) => aws.ec2.getSubnetOutput({ id }).cidrBlock.apply((cidr) => ({ cidr, port: 443 })))),
);
