/** Brings up everything, from whatever state the machine is in, and says how to use it. */
import { buildPrograms, clusterUp, registryUp } from "../cluster/index.ts";
import { startDocker } from "../docker.ts";
import { installPackages } from "../host/packages.ts";
import { preflight } from "../host/preflight.ts";
import { ensureBaseImages } from "../images/ensure.ts";
import { pathLine, runGraph, type Task, type Tasks } from "../lib/graph.ts";
import { claim } from "../lib/process.ts";
import { type Cluster, type StackOutputs, stackUp } from "../pulumi/stack.ts";
import { ensurePulumi } from "../pulumi/tools.ts";
import { ownCluster } from "./own-cluster.ts";
import { welcome } from "./welcome.ts";

/** The stack that `npm run up` deploys. */
export const stack = "dev";

/** @param context a kubeconfig context of the user's, to deploy to in place of the local cluster */
export async function up(context: string | undefined): Promise<void> {
  const start = performance.now();
  const cluster: Cluster = context === undefined ? "local" : "own";
  let outputs: StackOutputs | undefined;
  const deploy: Task = {
    title: `Stack ${stack}`,
    run: async () => {
      outputs = await stackUp(stack, cluster);
    },
  };
  if (context === undefined) await localCluster(deploy);
  else {
    await ownCluster(stack, context);
    await runGraph({ deploy });
  }
  if (outputs) welcome(outputs, cluster, (performance.now() - start) / 1000);
}

/** Brings up the local cluster and all that a stack needs, then runs `last`. What computes longest is listed first. */
export async function localCluster(last?: Task): Promise<void> {
  await preflight();
  claim();
  const tasks: Tasks = {
    packages: { title: "Debian packages", run: installPackages },
    programs: { title: "Cluster's programs", computes: true, run: buildPrograms },
    pulumi: { title: "Pulumi", computes: true, run: ensurePulumi },
    registry: { title: "Local registry", needs: ["packages"], run: registryUp },
    docker: { title: "Docker daemon", needs: ["packages"], run: startDocker },
    images: { title: "Base images", needs: ["registry", "docker"], run: () => ensureBaseImages() },
    cluster: { title: "Cluster", needs: ["programs", "registry"], run: clusterUp },
  };
  const all = last ? { ...tasks, last: { ...last, needs: Object.keys(tasks) } } : tasks;
  console.log(pathLine(all, await runGraph(all)));
}
