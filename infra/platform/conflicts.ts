/** Finds what prevents the stack's deployment to the cluster, before the program makes anything. */
import * as pulumi from "@pulumi/pulumi";
import { adapterApis } from "../config/adapter-apis.ts";
import type { Config } from "../config/config.ts";
import { type ClusterAccess, cluster, type Found } from "../kubernetes/cluster.ts";
import { isTooOld, oldestKubernetes } from "../kubernetes/version.ts";

type Scaling = Pick<Config, "namespace" | "adapter" | "autoscaler" | "keda">;

const external = "external.metrics.k8s.io";

/** By API group: what an operator can do if another server already serves the API. */
const remedies: Record<string, string> = {
  "metrics.k8s.io": "set `adapter.resourceMetrics: false`, and the autoscalers get CPU and memory from that server",
};
const otherwise =
  "if that server is KEDA, set `autoscaler: keda`; if it is your own adapter, set `adapter.enabled: false` and add the queries of docs/monitoring.md to your adapter";

/** One line for each conflict. The list is empty if there is no conflict. */
export function conflicts(config: Scaling, found: Found): string[] {
  return [
    ...tooOld(found),
    ...takenApis(config, found),
    ...(config.autoscaler === "keda" ? withKeda(config, found) : []),
  ];
}

const tooOld = ({ version }: Found): string[] =>
  isTooOld(version)
    ? [
        `The cluster has Kubernetes ${version}, and Berth needs ${oldestKubernetes} or newer. Upgrade the cluster, or choose another one.`,
      ]
    : [];

/** A line for each API that the stack's adapter should serve, but another server serves. A cluster allows one server per API. */
function takenApis(config: Scaling, { apis }: Found): string[] {
  const wanted = new Set(adapterApis(config).map(({ group }) => group));
  return apis
    .filter(({ group, service }) => wanted.has(group) && service !== `${config.namespace}/prometheus-adapter`)
    .map(({ name, group, service }) => {
      const server = service === null ? "The API server itself" : `The Service ${service}`;
      return `${server} already serves the API ${name}, and a cluster allows only one server for it: ${remedies[group] ?? otherwise}.`;
    });
}

/**
 * Conflicts with `autoscaler: keda`: KEDA is missing, or another autoscaler already scales one of the Deployments. In the second
 * case KEDA's admission webhook would refuse the ScaledObject of this Deployment.
 */
function withKeda({ keda, namespace }: Scaling, { apis, autoscalers }: Found): string[] {
  const server = apis.find(({ group }) => group === external)?.service ?? null;
  const missing =
    server?.startsWith(`${keda.namespace}/`) !== true &&
    `\`autoscaler: keda\` needs KEDA in the namespace ${keda.namespace}, where KEDA serves the API ${external}; but ${
      server === null ? "no server serves this API" : `the Service ${server} serves this API`
    }. Install KEDA, or set \`keda.namespace\` to KEDA's namespace. docs/monitoring.md describes the change from \`autoscaler: hpa\`.`;
  const others = autoscalers
    .filter(
      ({ target, owners }) =>
        ["Deployment api", "Deployment gateway", "Deployment worker"].includes(target) &&
        !owners.includes("ScaledObject"),
    )
    .map(
      ({ name, target }) =>
        `The HorizontalPodAutoscaler ${name} scales the ${target}, and KEDA refuses a Deployment that has another autoscaler. Run \`kubectl delete hpa -n ${namespace} ${name}\`; the number of pods stays the same.`,
    );
  return missing ? [missing, ...others] : others;
}

/**
 * Ends the program, before it changes anything, if the cluster is too old or has conflicting objects. `adoptExisting` does not
 * take over an API of another server. If the cluster does not answer or refuses the reads, the program only warns. Without an
 * answer, a later step of the run fails with its own error.
 */
export async function refuseConflicts(access: ClusterAccess, config: Scaling): Promise<void> {
  const found = await cluster.look(access, config.namespace).catch(async ({ message }: Error) => {
    await pulumi.log.warn(
      `Berth could not check the cluster's version, and whether another server in the cluster serves the same APIs: ${message}.`,
    );
  });
  const faults = found ? conflicts(config, found) : [];
  if (faults.length > 0)
    throw new pulumi.RunError(
      ["The stack can't be deployed to this cluster. Nothing was changed.", ...faults].join("\n"),
    );
}
