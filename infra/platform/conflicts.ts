/** What others have in the cluster that the stack would collide with, told before anything is made. */
import * as pulumi from "@pulumi/pulumi";
import { adapterApis } from "../config/adapter-apis.ts";
import type { Config } from "../config/config.ts";
import { cluster, type Found } from "../kubernetes/cluster.ts";
import { platformNamespace } from "./platform.ts";

type Scaling = Pick<Config, "adapter" | "autoscaler" | "keda">;

const ownAdapter = `${platformNamespace}/prometheus-adapter`;
const external = "external.metrics.k8s.io";

/** What is to be done about an API of the adapter's that another server has. */
const remedies: Record<string, string> = {
  "metrics.k8s.io": "set `adapter.resourceMetrics: false`, and the autoscalers take CPU and memory from there",
};
const otherwise =
  "where that is KEDA, set `autoscaler: keda`; where it is an adapter of your own, set `adapter.enabled: false` and give it the queries of docs/monitoring.md";

/** One line for each collision; none, and all is well. */
export function conflicts(config: Scaling, found: Found): string[] {
  return [...takenApis(config, found), ...(config.autoscaler === "keda" ? withKeda(config, found) : [])];
}

/** A cluster takes one server for each API, in whatever versions. */
function takenApis(config: Scaling, { apis }: Found): string[] {
  const wanted = new Set(adapterApis(config).map(({ group }) => group));
  return apis
    .filter(({ group, service }) => wanted.has(group) && service !== ownAdapter)
    .map(({ name, group, service }) => {
      const server = service === null ? "the API server itself" : `the Service ${service}`;
      return `The API ${name} is served by ${server}, and a cluster takes one server for it: ${remedies[group] ?? otherwise}.`;
    });
}

/** KEDA is there, and it will take the Deployments: its admission refuses one that has another autoscaler. */
function withKeda({ keda }: Scaling, { apis, autoscalers }: Found): string[] {
  const server = apis.find(({ group }) => group === external)?.service ?? null;
  const missing =
    server?.startsWith(`${keda.namespace}/`) !== true &&
    `\`autoscaler: keda\` needs KEDA in the namespace ${keda.namespace}, from where it serves ${external}; ${
      server === null ? "nobody serves that API" : `the Service ${server} does`
    }. Install KEDA, or say in \`keda.namespace\` where it is; docs/monitoring.md has the way from \`autoscaler: hpa\`.`;
  const others = autoscalers
    .filter(
      ({ target, owners }) =>
        ["Deployment api", "Deployment gateway", "Deployment worker"].includes(target) &&
        !owners.includes("ScaledObject"),
    )
    .map(
      ({ name, target }) =>
        `The HorizontalPodAutoscaler ${name} scales the ${target}, and KEDA refuses what has another autoscaler: \`kubectl delete hpa -n ${platformNamespace} ${name}\`; the pods stay as many as they are.`,
    );
  return missing ? [missing, ...others] : others;
}

/**
 * Ends the program, before anything is touched, where others have what the stack needs; `adoptExisting` takes no API from
 * its server. A cluster that can't be asked is only warned of: the run itself will say more.
 */
export async function refuseConflicts(config: Scaling & Pick<Config, "context">): Promise<void> {
  if (config.autoscaler !== "keda" && adapterApis(config).length === 0) return;
  const found = await cluster.look(config.context, platformNamespace).catch(async ({ message }: Error) => {
    await pulumi.log.warn(`Whether the cluster has another server of Berth's APIs was not looked up: ${message}.`);
  });
  const faults = found ? conflicts(config, found) : [];
  if (faults.length > 0)
    throw new pulumi.RunError(
      ["The cluster has what the stack collides with; nothing was changed.", ...faults].join("\n"),
    );
}
