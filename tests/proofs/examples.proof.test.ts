/**
 * Checks the types of the projects in examples/, runs each program with mocks in place of the clouds, and compares the outputs
 * with the config of Berth that belongs to the project.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { contains } from "../../infra/config/cidr.ts";
import { root } from "../../machine/machine.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-examples-"));
const run = (cwd: string, ...[program, ...args]: [string, ...string[]]) =>
  execa(program, args, { cwd, preferLocal: true, localDir: root, reject: false, all: true });

beforeAll(async () => {
  cpSync(join(root, "examples"), folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  const { exitCode, all } = await run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund");
  expect(exitCode, all).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the programs have no type errors", async () => {
  expect(await run(folder, "tsc", "-p", folder)).toMatchObject({ all: "", exitCode: 0 });
});

/**
 * Runs the program in the current folder with mocks, and prints the types of its resources and its outputs as JSON. The mocks
 * make the values that the config of Berth in the same folder has.
 */
const withMocks = `
  import * as pulumi from "@pulumi/pulumi";
  const types = [];
  const made = {
    "eks:index:Cluster": { oidcProviderArn: "arn", oidcProviderUrl: "https://oidc", kubeconfigJson: "{}",
      eksCluster: { name: "berth" } },
    "aws:ecr/repository:Repository": { repositoryUrl: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/berth/api" },
    "gcp:container/cluster:Cluster": { endpoint: "192.0.2.1", masterAuth: { clusterCaCertificate: "Y2E=" } },
    "azure:containerservice/kubernetesCluster:KubernetesCluster": { kubeConfigRaw: "{}", kubeletIdentity: { objectId: "id" },
      nodeResourceGroup: "nodes" },
    "azure:containerservice/registry:Registry": { loginServer: "berth.azurecr.io" },
    "command:local:Command": { stdout: "{}" },
    "kubernetes:discovery.k8s.io/v1:EndpointSlice": { ports: [{ port: 443 }],
      endpoints: [{ addresses: [process.cwd().endsWith("gke") ? "10.132.0.2" : "203.0.113.7"] }] },
    "kubernetes:core/v1:Namespace": { metadata: { uid: "3f1c9a52-7c1e-4d55-9a31-0d6f4b1f0a11" } },
  };
  const answers = {
    "aws:ec2/getVpc:getVpc": { id: "default" },
    "aws:ec2/getSubnets:getSubnets": { ids: ["0", "16", "32"] },
    "aws:index/getAvailabilityZones:getAvailabilityZones": { names: ["a", "b", "c"] },
    "gcp:compute/getSubnetwork:getSubnetwork": { ipCidrRange: "10.132.0.0/20" },
    "azure:core/getResources:getResources": { resources: [{ name: "aks-vnet-1" }] },
    "azure:network/getSubnet:getSubnet": { addressPrefixes: ["10.224.0.0/16"] },
  };
  const mocks = {
    newResource: ({ type, name, inputs }) => {
      types.push(type);
      return { id: name, state: { name, ...inputs, ...made[type] } };
    },
    call: ({ token, inputs }) =>
      token === "aws:ec2/getSubnet:getSubnet"
        ? { ...inputs, cidrBlock: "172.31." + inputs.id + ".0/20" }
        : { ...inputs, json: "{}", ...answers[token] },
  };
  pulumi.runtime.setAllConfig({ "gcp:project": "acme", "gcp:region": "europe-west1" });
  await pulumi.runtime.setMocks(mocks, "berth", "test", false);
  const outputs = {};
  for (const [name, output] of Object.entries(await import(process.cwd() + "/index.ts"))) {
    const secret = pulumi.Output.isInstance(output) && (await pulumi.isSecret(output));
    const value = await new Promise((resolve) => pulumi.output(output).apply(resolve));
    outputs[name] = { secret, value };
  }
  console.log(JSON.stringify({ types, outputs }));`;

test.each([
  ["eks", "eks:index:Cluster", "examples/eks/berth.yaml"],
  ["gke", "gcp:container/cluster:Cluster", "examples/gke/berth.yaml"],
  ["aks", "azure:containerservice/kubernetesCluster:KubernetesCluster", "examples/aks/berth.yaml"],
  ["kind", "command:local:Command", "Pulumi.kind.yaml"],
])("%s makes a cluster, and has the outputs that Berth's config names", async (name, cluster, file) => {
  const { stdout, stderr, exitCode } = await run(
    join(folder, name),
    "node",
    "--input-type=module",
    "--eval",
    withMocks,
  );
  expect(exitCode, stderr).toBe(0);
  const { types, outputs } = JSON.parse(stdout);
  expect(types).toContain(cluster);
  const { kubeconfig, nodes, ...others } = outputs as Record<string, { secret: boolean; value: unknown }>;
  expect(kubeconfig).toMatchObject({ secret: true, value: expect.stringContaining("{") });
  expect(Object.keys(others)).toEqual(expect.arrayContaining(["clusterId", "registry"]));

  const { config } = parse(readFileSync(join(root, file), "utf8"));
  const keys = name === "kind" ? ["registry"] : Object.keys(others); // the stack `kind` names its cluster by context
  for (const key of keys) expect(config[`berth:${key}`], key).toEqual(others[key]?.value);
  if (name !== "kind") expect(config["berth:prometheus"].kubelets.nodes).toEqual(nodes?.value);
  const api: { cidr: string }[] = config["berth:kubernetesApi"];
  expect(api.length).toBeGreaterThan(0);
  // On EKS, the network policies open whole subnets to the worker and close them to sessions. So no node may be in them.
  if (name === "eks")
    for (const { cidr } of api)
      for (const range of config["berth:prometheus"].kubelets.nodes)
        expect(contains(range, cidr) || contains(cidr, range), `${cidr} and ${range}`).toBe(false);
  if (name !== "kind")
    expect(config["berth:kubeconfig"]).toEqual({ stack: `acme/berth-${name}/prod`, output: "kubeconfig" });
});
