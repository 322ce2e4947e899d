/** A cluster on Amazon EKS that enforces network policies and can create volumes, and a registry for Berth's images. */
import * as aws from "@pulumi/aws";
import * as eks from "@pulumi/eks";
import * as pulumi from "@pulumi/pulumi";
import { factsOf } from "../cluster-facts.ts";

// The region's default VPC has a subnet in each zone. The nodes are in these subnets, and their pods too.
const vpc = aws.ec2.getVpcOutput({ default: true });
const nodeSubnets = aws.ec2.getSubnetsOutput({
  filters: [
    { name: "vpc-id", values: [vpc.id] },
    { name: "default-for-az", values: ["true"] },
  ],
});

// EKS gives the Kubernetes API server addresses in these subnets, and new addresses at each upgrade. Nothing else is in the
// subnets, because Berth opens them to the worker and closes them to sessions. EKS wants two zones and six free addresses in
// each subnet, and AWS itself uses five of the sixteen.
const zones = aws.getAvailabilityZonesOutput({ state: "available" });
const apiSubnets = ["172.31.240.0/28", "172.31.240.16/28"].map(
  (cidrBlock, index) =>
    new aws.ec2.Subnet(`berth-api-${index}`, {
      vpcId: vpc.id,
      cidrBlock,
      availabilityZone: zones.apply(({ names }) => names[index] ?? ""),
    }),
);

const cluster = new eks.Cluster("berth", {
  version: "1.34",
  vpcId: vpc.id,
  subnetIds: apiSubnets.map(({ id }) => id),
  nodeSubnetIds: nodeSubnets.ids,
  instanceType: "m7i.xlarge",
  desiredCapacity: 3,
  minSize: 3,
  maxSize: 10,
  createOidcProvider: true,
  // Without this option, Amazon's network plugin ignores network policies, although the cluster accepts them.
  vpcCniOptions: { enableNetworkPolicy: true },
});

// A new EKS cluster can't create volumes, so the EBS driver is installed. Its ServiceAccount gets the IAM policy that Amazon
// provides for the driver.
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
  // The add-on creates the StorageClass ebs-csi-default-sc, which becomes the cluster's default.
  configurationValues: JSON.stringify({ defaultStorageClass: { enabled: true } }),
});

// ECR does not create a repository when an image is pushed, so the program creates one for each image.
const repositories = ["api", "agent", "berthd"].map(
  (image) => new aws.ecr.Repository(`berth-${image}`, { name: `berth/${image}`, forceDelete: true }),
);

export const kubeconfig = pulumi.secret(cluster.kubeconfigJson);
export const { clusterId } = factsOf(cluster.kubeconfigJson);
/** The value for `berth:registry`. */
export const registry = repositories[0]?.repositoryUrl.apply((url) => url.replace(/\/api$/, ""));
/** The value for `berth:kubernetesApi`: the address ranges from which EKS gives the Kubernetes API server its addresses. */
export const kubernetesApi = apiSubnets.map(({ cidrBlock }) => ({ cidr: cidrBlock, port: 443 }));
/** The value for `berth:prometheus.kubelets.nodes`: the address ranges of the subnets in which the nodes are. */
export const nodes = nodeSubnets.ids.apply((ids) =>
  pulumi.all(ids.map((id) => aws.ec2.getSubnetOutput({ id }).cidrBlock)),
);
