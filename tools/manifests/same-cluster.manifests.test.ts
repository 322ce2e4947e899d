/** Tests, with Pulumi's engine and without a cluster, which changes of a provider replace the stack's resources. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { providerOf } from "../../infra/kubernetes/access.ts";
import { ensurePulumi } from "../../local/pulumi/tools.ts";
import { withThrowAwayStack } from "./throw-away.ts";

beforeAll(() => ensurePulumi().then(() => {}));

const clusterId = "3f1c9a52-7c1e-4d55-9a31-0d6f4b1f0a11";
const kubeconfig = (context: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: "https://192.0.2.1" } }],
    contexts: [{ name: context, context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    "current-context": context,
  });

/**
 * Returns how many resources of a stack `pulumi up` would replace after a change of the context's name. `before` and `after`
 * are the values of `clusterId`.
 */
async function replacedBy(before: string | null, after: string | null): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "berth-same-cluster-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "objects"));
  let [context, id] = ["old", before];
  const program = () => {
    const { args, options } = providerOf({ context, kubeconfig: kubeconfig(context) }, { clusterId: id });
    const rendered = { ...args, renderYamlToDirectory: join(folder, "objects") };
    const provider = new k8s.Provider("kubernetes", rendered, options);
    new k8s.core.v1.ConfigMap("settings", { metadata: { name: "settings", namespace: "berth" } }, { provider });
  };
  let replaced = -1;
  await withThrowAwayStack("same", program, async (stack) => {
    await stack.up();
    [context, id] = ["renamed", after];
    const { changeSummary } = await stack.preview();
    replaced = changeSummary.replace ?? 0;
  });
  return replaced;
}

test("another context replaces all, because only its name identifies the cluster", async () => {
  expect(await replacedBy(null, null)).toBe(2);
});

test("with `clusterId`, another context replaces nothing, also in a stack that had none before", async () => {
  expect(await replacedBy(clusterId, clusterId)).toBe(0);
  expect(await replacedBy(null, clusterId)).toBe(0);
});
