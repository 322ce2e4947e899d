/** Starts all of Berth, from any state of the machine, and prints how to use it. */
import {
  adapter,
  buildKubernetes,
  ensurePrograms,
  hasKubernetes,
  obtainKubernetes,
  prometheus,
  sources,
} from "../cluster/build.ts";
import { claimStateDir } from "../cluster/state.ts";
import { clusterUp, registryUp } from "../cluster/up.ts";
import { startDocker } from "../docker.ts";
import { installPackages } from "../host/packages.ts";
import { preflight } from "../host/preflight.ts";
import { imageTasks } from "../images/ensure.ts";
import { compileLibrary, dropCompiledPackages, hasUnusedPackages, removeUnfinished } from "../lib/go.ts";
import { pathLine, runGraph, type Tasks } from "../lib/graph.ts";
import { lock } from "../lib/process.ts";
import { type StackOutputs, stackUp } from "../pulumi/stack.ts";
import { buildCli, hasCli, obtainPulumi } from "../pulumi/tools.ts";
import { welcome } from "./welcome.ts";

/** The stack that `npm run up` deploys. */
export const stack = "dev";

/**
 * Starts the local cluster, deploys the stack to it, and prints how to use Berth. If several tasks wait for a free processor, the
 * first of them in `tasks` begins. So the tasks that compute longer come earlier in `tasks`.
 * @param keepCompiled keeps the compiled Go packages, for callers that build more programs afterwards. Default: false
 * @param deploys whether the stack is deployed. If not, all that a stack needs is made
 */
export async function up({ keepCompiled = false, deploys = true } = {}): Promise<void> {
  const start = performance.now();
  await preflight();
  lock();
  claimStateDir();
  removeUnfinished();
  const tasks: Tasks = {
    packages: { title: "Debian packages", run: installPackages },
    kubernetes: { title: "Kubernetes", run: obtainKubernetes },
    pulumi: { title: "Pulumi", run: obtainPulumi },
    library: { title: "Go's standard library", computes: true, idle: hasCli, run: () => compileLibrary(sources) },
    programs: { title: "Cluster's other programs", computes: true, needs: ["library"], run: ensurePrograms },
    kubernetesBuild: {
      title: "Kubernetes from its Go modules",
      computes: true,
      // The other programs share packages with Kubernetes. Parallel builds would compile each shared package twice.
      needs: ["kubernetes", "programs"],
      idle: hasKubernetes,
      run: buildKubernetes,
    },
    pulumiBuild: {
      title: "Pulumi from its Go modules",
      computes: true,
      needs: ["pulumi", "library"],
      idle: hasCli,
      run: buildCli,
    },
    compiled: {
      title: "Compiled packages, which are no longer needed",
      needs: ["programs", "kubernetesBuild", "pulumiBuild", "prometheus", "adapter"],
      idle: () => keepCompiled || !hasUnusedPackages(),
      run: dropCompiledPackages,
    },
    registry: { title: "Local registry", needs: ["packages"], run: registryUp },
    docker: { title: "Docker daemon", needs: ["packages"], run: startDocker },
    ...imageTasks(["registry", "docker"], {
      prometheus: { title: "Prometheus from its Go modules", run: prometheus.ensure },
      adapter: {
        title: "prometheus-adapter from its Go modules",
        needs: ["programs", "kubernetesBuild"],
        run: adapter.ensure,
      },
    }),
    cluster: { title: "Cluster", needs: ["programs", "kubernetesBuild", "registry"], run: clusterUp },
  };
  let outputs: StackOutputs | undefined;
  if (deploys)
    tasks.stack = {
      title: `Stack ${stack}`,
      needs: Object.keys(tasks).filter((name) => name !== "compiled"),
      run: async () => {
        outputs = await stackUp(stack);
      },
    };
  console.log(pathLine(tasks, await runGraph(tasks)));
  if (outputs) welcome(outputs, (performance.now() - start) / 1000);
}
