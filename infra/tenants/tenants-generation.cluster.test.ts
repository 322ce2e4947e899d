/** Tests the generation number of the tenants file on a real cluster, with Pulumi and a temporary stack. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { TestNamespace } from "../../local/cluster/testing.ts";
import { ensurePulumi } from "../../local/pulumi/tools.ts";
import { machine } from "../../machine/machine.ts";
import { withThrowAwayStack } from "../../tools/manifests/throw-away.ts";
import { tenantsGeneration } from "./tenants-generation.ts";

const { context, kubeconfig } = machine;

beforeAll(async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  await ensurePulumi();
});

test("the number stays the same with the same content, and grows with each change, also when earlier content returns", async () => {
  await using namespace = await TestNamespace.create();
  let content = "one";
  const program = () => {
    const provider = new k8s.Provider("kubernetes", { context, clusterIdentifier: context, enableSecretMutable: true });
    const metadata = { namespace: namespace.name };
    const generation = tenantsGeneration(pulumi.output(content), metadata, { provider });
    const stringData = { generation: pulumi.interpolate`${generation}` };
    new k8s.core.v1.Secret("tenants", { metadata: { ...metadata, name: "tenants" }, stringData }, { provider });
  };
  const read = async (path: string) =>
    kubectl(["-n", namespace.name, "get", "secret", "tenants", "-o", `jsonpath={${path}}`]);
  const number = async () => Number(Buffer.from(await read(".data.generation"), "base64"));

  await withThrowAwayStack(
    "try",
    program,
    async (stack) => {
      const up = async (next: string) => {
        content = next;
        await stack.up({ color: "never" });
        return number();
      };
      const one = await up("one");
      const uid = await read(".metadata.uid");
      expect(Math.abs(one - Date.now() / 1_000)).toBeLessThan(600);
      const { changeSummary } = await stack.preview({ color: "never" });
      expect(Object.keys(changeSummary)).toEqual(["same"]);
      expect(await up("one")).toBe(one);
      const two = await up("two");
      expect(two).toBeGreaterThan(one);
      expect(await up("one")).toBeGreaterThan(two);
      expect(await read(".metadata.uid")).toBe(uid); // the same Secret, because pods mount it
      await stack.destroy({ color: "never" });
    },
    kubeconfig,
  );
});
