/** Another Berth is in the cluster already, and its adapter serves the metrics. The second Berth has no adapter. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { ensureStack } from "../../local/pulumi/stack.ts";
import { root } from "../../machine/machine.ts";
import { destroyOrThrow, type StackFile, upOrThrow } from "../pulumi.ts";
import { servedFrom } from "./foreign-api.ts";
import { testShape } from "./shape.ts";

const first = "first";
const namespace = `berth-${first}`;

/** The config of the first Berth, as docs/your-cluster.md has it. `dev` gets the ports of the node. */
function change({ config }: StackFile): void {
  config["berth:namespace"] = namespace;
  config["berth:tenantPrefix"] = `${first}-`;
  config["berth:priorityClasses"] = {
    platform: { name: `${namespace}-platform` },
    imagePullers: { name: `${namespace}-image-puller` },
    sessions: { name: `${namespace}-sessions`, value: 0 },
  };
  config["berth:api"] = { autoscaling: { min: 1, max: 3 }, readinessFailures: 10 };
}

testShape({
  what: "two Berths in one cluster, the second without an adapter",
  prepare: async (cleanUp) => {
    cleanUp.defer(() => rmSync(join(root, `Pulumi.${first}.yaml`), { force: true }));
    await ensureStack(first);
    cleanUp.defer(() => destroyOrThrow(first));
    await upOrThrow({ stack: first, change });
  },
  refused: { change: () => {}, says: /berth-first\/prometheus-adapter already serves the API/ },
  change: ({ config }) => {
    config["berth:adapter"] = { enabled: false };
  },
  check: async () => expect(await servedFrom("external.metrics.k8s.io")).toBe(namespace),
});
