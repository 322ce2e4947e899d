/** Nodes that KWOK simulates: pods on them run at once, and use no resources except those of the Kubernetes API server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CoreV1Api, type KubeConfig, NodeV1Api } from "@kubernetes/client-node";
import { execa } from "execa";
import { buildOnce, goBuild, goEnvironment, sourcesVersion } from "../../local/lib/go.ts";
import { machine } from "../../machine/machine.ts";

const { binDir, kubeconfig } = machine;

/** The label of the fake nodes. Only pods with the RuntimeClass of this name run on them. */
export const fakeNodes = "berth-bench";
export const fakeNodeCount = 10;

const sources = join(import.meta.dirname, "kwok");
const kwokDir = join(binDir, `kwok-watching-${sourcesVersion(sources, "*.go")}`);

/**
 * Builds KWOK with one change: a watch begins where the list ended. KWOK begins each watch at version 0. The Kubernetes API
 * server serves such a watch only with the help of an etcd that is newer than the local cluster's. Without the change, KWOK
 * sees a new pod only after half a minute.
 */
async function buildKwok(dir: string): Promise<void> {
  const download = ["mod", "download", "-json", "sigs.k8s.io/kwok"];
  const { stdout } = await execa("go", download, { cwd: sources, env: goEnvironment });
  const own = join(dir, "sources");
  cpSync(sources, own, { recursive: true });
  // The files of Go's cache are read-only, and a copy by Node.js would be so too.
  await execa("cp", ["--recursive", "--no-preserve=mode", JSON.parse(stdout).Dir, join(own, "kwok")]);
  appendFileSync(join(own, "go.mod"), "\nreplace sigs.k8s.io/kwok => ./kwok\n");
  const file = join(own, "kwok/pkg/utils/informer/event.go");
  const assignment = 'opts.ResourceVersion = "0"';
  const parts = readFileSync(file, "utf8").split(assignment);
  if (parts.length !== 2) throw new Error(`${file} does not contain ${assignment} exactly once`);
  writeFileSync(file, parts.join(`if !opts.AllowWatchBookmarks { ${assignment} }`));
  await goBuild(own, dir, ["sigs.k8s.io/kwok/cmd/kwok"]);
  rmSync(own, { recursive: true });
}

/**
 * Creates the nodes and the RuntimeClass. Returns a function that removes them. The first call builds KWOK, which takes
 * minutes.
 * @param hanging the pods with this label never become ready, for example `app=a`. Default: none
 */
export async function startFakeNodes(config: KubeConfig, hanging = ""): Promise<() => Promise<void>> {
  console.error("  KWOK is built now if it is missing; the build takes minutes");
  await buildOnce(kwokDir, buildKwok);
  const core = config.makeApiClient(CoreV1Api);
  const nodes = config.makeApiClient(NodeV1Api);
  const names = Array.from({ length: fakeNodeCount }, (_, index) => `${fakeNodes}-${index}`);
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
  const args = [
    "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
    `--disregard-status-with-label-selector=${hanging}`,
    "--cidr=10.250.0.0/16",
  ];
  child = spawn(join(kwokDir, "kwok"), [`--kubeconfig=${kubeconfig}`, ...args], { stdio: "ignore" });
  return remove;
}
