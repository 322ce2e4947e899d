/** Brings up everything, from whatever state the machine is in, and says how to use it. */
import {
  buildKubernetes,
  ensureAdapter,
  ensurePrograms,
  ensurePrometheus,
  hasKubernetes,
  obtainKubernetes,
} from "../cluster/build.ts";
import { claimStateDir, clusterUp, registryUp } from "../cluster/index.ts";
import { startDocker } from "../docker.ts";
import { installPackages } from "../host/packages.ts";
import { preflight } from "../host/preflight.ts";
import { imageTasks } from "../images/ensure.ts";
import { dropCompiledPackages, hasCompiledPackages, removeUnfinished } from "../lib/go.ts";
import { pathLine, runGraph, type Task, type Tasks } from "../lib/graph.ts";
import { claim } from "../lib/process.ts";
import { type Cluster, type StackOutputs, stackUp } from "../pulumi/stack.ts";
import { buildCli, hasCli, obtainPulumi } from "../pulumi/tools.ts";
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
    claimStateDir();
    await ownCluster(stack, context);
    await runGraph({ deploy });
  }
  if (outputs) welcome(outputs, cluster, (performance.now() - start) / 1000);
}

/** Brings up the local cluster and all that a stack needs, then runs `last`. What computes longest is listed first. */
export async function localCluster(last?: Task): Promise<void> {
  await preflight();
  claim();
  claimStateDir();
  removeUnfinished();
  const tasks: Tasks = {
    packages: { title: "Debian packages", run: installPackages },
    kubernetes: { title: "Kubernetes", run: obtainKubernetes },
    pulumi: { title: "Pulumi", run: obtainPulumi },
    programs: { title: "Cluster's other programs", computes: true, run: ensurePrograms },
    kubernetesBuild: {
      title: "Kubernetes from its Go modules",
      computes: true,
      // Their packages are Kubernetes' as well, and are compiled once.
      needs: ["kubernetes", "programs"],
      idle: hasKubernetes,
      run: buildKubernetes,
    },
    pulumiBuild: {
      title: "Pulumi from its Go modules",
      computes: true,
      needs: ["pulumi"],
      idle: hasCli,
      run: buildCli,
    },
    compiled: {
      title: "Compiled packages, which are no longer needed",
      needs: ["programs", "kubernetesBuild", "pulumiBuild", "prometheus", "adapter"],
      idle: () => !hasCompiledPackages(),
      run: dropCompiledPackages,
    },
    registry: { title: "Local registry", needs: ["packages"], run: registryUp },
    docker: { title: "Docker daemon", needs: ["packages"], run: startDocker },
    ...imageTasks(["registry", "docker"], {
      prometheus: { title: "Prometheus from its Go modules", run: () => ensurePrometheus("prometheus") },
      adapter: {
        title: "prometheus-adapter from its Go modules",
        needs: ["programs", "kubernetesBuild"],
        run: ensureAdapter,
      },
    }),
    cluster: { title: "Cluster", needs: ["programs", "kubernetesBuild", "registry"], run: clusterUp },
  };
  const all = last
    ? { ...tasks, last: { ...last, needs: Object.keys(tasks).filter((name) => name !== "compiled") } }
    : tasks;
  console.log(pathLine(all, await runGraph(all)));
}
