/** Brings up everything, from whatever state the machine is in, and says how to use it. */
import { buildPrograms, clusterUp, registryUp } from "../cluster/index.ts";
import { startDocker } from "../docker.ts";
import { installPackages } from "../host/packages.ts";
import { preflight } from "../host/preflight.ts";
import { ensureBaseImages } from "../images/ensure.ts";
import { claim } from "../lib/process.ts";
import { step } from "../lib/steps.ts";
import { type Cluster, stackUp } from "../pulumi/stack.ts";
import { ensurePulumi } from "../pulumi/tools.ts";
import { ownCluster } from "./own-cluster.ts";
import { welcome } from "./welcome.ts";

/** The stack that `npm run up` deploys. */
export const stack = "dev";

/** @param context a kubeconfig context of the user's, to deploy to in place of the local cluster */
export async function up(context: string | undefined): Promise<void> {
  const start = performance.now();
  if (context === undefined) await localCluster();
  else await ownCluster(stack, context);
  const cluster: Cluster = context === undefined ? "local" : "own";
  const outputs = await step(`Stack ${stack}`, () => stackUp(stack, cluster));
  welcome(outputs, cluster, (performance.now() - start) / 1000);
}

/** The programs' build keeps the processors busy, so what waits for the network goes beside it. */
async function localCluster(): Promise<void> {
  preflight();
  claim();
  await step("Debian packages", installPackages);
  const programs = step("Cluster's programs", buildPrograms);
  const images = step("Pulumi", ensurePulumi)
    .then(() => step("Local registry", registryUp))
    .then(() => step("Docker daemon", startDocker))
    .then(() => ensureBaseImages());
  await Promise.all([programs, images]);
  await clusterUp();
}
