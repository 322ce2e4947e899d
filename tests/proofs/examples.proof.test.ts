/** Checks the types of the projects in examples/, and runs each program with mocks in place of the clouds. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
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

/** Runs the program in the current folder with mocks, and prints the types of its resources and its outputs as JSON. */
const withMocks = `
  import * as pulumi from "@pulumi/pulumi";
  const types = [];
  const made = {
    "eks:index:Cluster": { oidcProviderArn: "arn", oidcProviderUrl: "https://oidc", kubeconfigJson: "{}",
      eksCluster: { name: "berth" }, core: { subnetIds: ["subnet-1"] } },
    "aws:ecr/repository:Repository": { repositoryUrl: "1.dkr.ecr.example.com/berth/api" },
    "gcp:container/cluster:Cluster": { endpoint: "192.0.2.1", masterAuth: { clusterCaCertificate: "Y2E=" } },
    "azure:containerservice/kubernetesCluster:KubernetesCluster": { kubeConfigRaw: "{}", kubeletIdentity: { objectId: "id" } },
    "azure:containerservice/registry:Registry": { loginServer: "berth.example.com" },
    "command:local:Command": { stdout: "{}" },
    "kubernetes:core/v1:Namespace": { metadata: { uid: "the-uid" } },
  };
  const mocks = {
    newResource: ({ type, name, inputs }) => {
      types.push(type);
      return { id: name, state: { name, ...inputs, ...made[type] } };
    },
    call: ({ token, inputs }) =>
      token.includes("getSubnet") ? { ...inputs, cidrBlock: "10.0.0.0/20" } : { ...inputs, json: "{}" },
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
  ["eks", "eks:index:Cluster", "1.dkr.ecr.example.com/berth"],
  ["gke", "gcp:container/cluster:Cluster", "europe-west1-docker.pkg.dev/acme/berth/berth"],
  ["aks", "azure:containerservice/kubernetesCluster:KubernetesCluster", "berth.example.com/berth"],
  ["kind", "command:local:Command", "localhost:5001/berth"],
])("%s makes a cluster, and has the outputs that Berth's config names", async (name, cluster, registry) => {
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
  expect(outputs).toMatchObject({
    kubeconfig: { secret: true, value: expect.stringContaining("{") },
    clusterId: { value: "the-uid" },
    registry: { value: registry },
  });
});
