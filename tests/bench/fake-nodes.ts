/** Nodes that KWOK simulates: pods on them run at once, and use no resources except those of the Kubernetes API server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { CoreV1Api, type KubeConfig, NodeV1Api } from "@kubernetes/client-node";
import { buildOnce, goBuild, sourcesVersion } from "../../local/lib/go.ts";
import { machine } from "../../machine/machine.ts";

const { binDir, kubeconfig } = machine;

/** The label of the fake nodes. Only pods with the RuntimeClass of this name run on them. */
export const fakeNodes = "berth-bench";
const count = 10;

const sources = join(import.meta.dirname, "kwok");
const kwokDir = join(binDir, `kwok-${sourcesVersion(sources, "*.go")}`);

/**
 * Creates the nodes and the RuntimeClass. Returns a function that removes them. The first call builds KWOK, which takes
 * minutes.
 */
export async function startFakeNodes(config: KubeConfig): Promise<() => Promise<void>> {
  console.error("  building KWOK, unless it is already built");
  await buildOnce(kwokDir, (dir) => goBuild(sources, dir, ["sigs.k8s.io/kwok/cmd/kwok"]));
  const core = config.makeApiClient(CoreV1Api);
  const nodes = config.makeApiClient(NodeV1Api);
  const names = Array.from({ length: count }, (_, index) => `${fakeNodes}-${index}`);
  let child: ChildProcess | undefined;
  const remove = async () => {
    for (const name of names) await core.deleteNode({ name }).catch(() => {});
    await nodes.deleteRuntimeClass({ name: fakeNodes }).catch(() => {});
    if (child?.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
  };
  await remove(); // removes what an interrupted run has left
  const taint = { key: fakeNodes, effect: "NoSchedule" };
  await nodes.createRuntimeClass({
    body: {
      metadata: { name: fakeNodes },
      handler: "none",
      scheduling: { nodeSelector: { [fakeNodes]: "" }, tolerations: [{ ...taint, operator: "Exists" }] },
    },
  });
  const room = { cpu: "1k", memory: "4Ti", pods: "1k", "ephemeral-storage": "10Ti" };
  for (const name of names) {
    await core.createNode({
      body: {
        metadata: { name, labels: { [fakeNodes]: "" }, annotations: { "kwok.x-k8s.io/node": "fake" } },
        spec: { taints: [taint] },
        status: { capacity: room, allocatable: room },
      },
    });
  }
  const args = ["--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--cidr=10.250.0.0/16"];
  child = spawn(join(kwokDir, "kwok"), [`--kubeconfig=${kubeconfig}`, ...args], { stdio: "ignore" });
  return remove;
}
