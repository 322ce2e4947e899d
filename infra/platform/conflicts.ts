/** Finds what prevents the stack's deployment to the cluster, before the program makes anything. */
import * as pulumi from "@pulumi/pulumi";
import { adapterApis } from "../config/adapter-apis.ts";
import { contains, exceptionsIn, rangeOfAddress } from "../config/cidr.ts";
import type { Config } from "../config/config.ts";
import { closedRanges } from "../config/network.ts";
import { type ApiServer, type ClusterAccess, cluster, type Found, unreadText } from "../kubernetes/cluster.ts";
import { isTooOld, oldestKubernetes } from "../kubernetes/version.ts";
import { type Naming, takenNames } from "./taken-names.ts";

type Scaling = Pick<Config, "namespace" | "adapter" | "autoscaler" | "keda">;
type Reaching = Pick<Config, "kubernetesApi" | "network" | "prometheus" | "tenants">;
type Checked = Scaling & Reaching & Naming;

const external = "external.metrics.k8s.io";

/** By API group: what an operator can do if another server already serves the API. */
const remedies: Record<string, string> = {
  "metrics.k8s.io": "set `adapter.resourceMetrics: false`, and the autoscalers get CPU and memory from that server",
};
const otherwise =
  "if that server is KEDA, set `autoscaler: keda`; if it is your own adapter, set `adapter.enabled: false` and add the queries of docs/monitoring.md to your adapter";

/**
 * One line for each conflict. The list is empty if there is no conflict. A fact that could not be read gives no conflict, except
 * the APIServices if the stack has an adapter, and the API's addresses if the config does not have them.
 * @param stack the name of this Pulumi stack, without the organization
 */
export function conflicts(config: Checked, found: Found, stack: string): string[] {
  return [
    ...tooOld(found),
    ...takenNames(config, found, stack),
    ...unnamedApi(config, found, stack),
    ...openApi(config, found),
    ...apiConflicts(config, found),
  ];
}

/** One line for each metrics API, and for each autoscaler, that would conflict with those of the stack. */
export const apiConflicts = (config: Scaling, found: Pick<Found, "apis" | "autoscalers" | "unread">): string[] => [
  ...takenApis(config, found),
  ...(config.autoscaler === "keda" ? withKeda(config, found) : []),
];

const tooOld = ({ version }: Found): string[] =>
  version !== undefined && isTooOld(version)
    ? [
        `The cluster has Kubernetes ${version}, and Berth needs ${oldestKubernetes} or newer. Upgrade the cluster, or choose another one.`,
      ]
    : [];

/**
 * A line if the config does not have the addresses of the Kubernetes API. It has the addresses that the cluster has now, and the
 * command that writes them into the config.
 */
export function unnamedApi(
  { kubernetesApi }: Pick<Config, "kubernetesApi">,
  { apiServers = [], unread }: Pick<Found, "apiServers" | "unread">,
  stack: string,
): string[] {
  if (kubernetesApi.length > 0) return [];
  const fault = "kubernetesApi: has no address, so the network policies would let no pod reach the Kubernetes API";
  const ranges = "or name the ranges from which they come (docs/network.md#the-kubernetes-api)";
  if (apiServers.length === 0) {
    const why = unread.apiServers ?? "the EndpointSlice `kubernetes` has none";
    return [`${fault}. The addresses can't be read (${why}). Ask the person who made the cluster, ${ranges}.`];
  }
  const found = apiServers.map(({ address, port }) => ({ cidr: rangeOfAddress(address), port }));
  return [
    `${fault}. To name the addresses that the cluster has now, run \`pulumi config set berth:kubernetesApi '${JSON.stringify(found)}' -s ${stack}\`, ${ranges}.`,
  ];
}

/** The addresses of API servers that `kubernetesApi` does not contain, so that the network policies don't open them. */
export const unopenedApi = ({ kubernetesApi }: Pick<Config, "kubernetesApi">, apiServers: ApiServer[]): string[] =>
  apiServers
    .map(({ address }) => address)
    .filter((address) => !kubernetesApi.some(({ cidr }) => includes(cidr, address)));

const includes = (range: string, address: string) => contains(range, rangeOfAddress(address));

/** A line if a tenant's `egress` opens an address of the Kubernetes API, because `kubernetesApi` lacks this address. */
function openApi(config: Reaching, { apiServers = [] }: Pick<Found, "apiServers">): string[] {
  const closed = closedRanges(config);
  const unopened = unopenedApi(config, apiServers);
  const opens = (cidr: string, address: string) =>
    includes(cidr, address) && !exceptionsIn(cidr, closed).some((range) => includes(range, address));
  const rules = config.tenants.flatMap(({ egress }, tenant) =>
    egress.flatMap(({ cidr }, index) =>
      cidr !== null && unopened.some((address) => opens(cidr, address)) ? `tenants[${tenant}].egress[${index}]` : [],
    ),
  );
  if (rules.length === 0) return [];
  return [
    `${rules.join(", ")}: would let sessions reach the Kubernetes API, which is at ${unopened.join(", ")}, outside of \`kubernetesApi\`. Add the range from which the API gets its addresses to \`kubernetesApi\` (docs/network.md#the-kubernetes-api).`,
  ];
}

/**
 * A line for each API that the stack's adapter should serve, but another server serves. A cluster allows one server per API. If
 * the APIServices could not be read, the stack could take an API from its server without knowing it, so there is a line too.
 */
function takenApis(config: Scaling, { apis, unread }: Pick<Found, "apis" | "unread">): string[] {
  const wanted = new Set(adapterApis(config).map(({ group }) => group));
  if (wanted.size === 0) return [];
  if (apis === undefined)
    return [
      `The APIServices can't be read (${unread.apis}), so another server may already serve ${[...wanted].join(", ")}, and the stack's adapter would take the place of that server. Allow this user to list apiservices.apiregistration.k8s.io, or set \`adapter.enabled: false\`.`,
    ];
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
function withKeda({ keda, namespace }: Scaling, { apis, autoscalers }: Pick<Found, "apis" | "autoscalers">): string[] {
  const server = apis?.find(({ group }) => group === external)?.service ?? null;
  const missing =
    apis !== undefined &&
    server?.startsWith(`${keda.namespace}/`) !== true &&
    `\`autoscaler: keda\` needs KEDA in the namespace ${keda.namespace}, where KEDA serves the API ${external}; but ${
      server === null ? "no server serves this API" : `the Service ${server} serves this API`
    }. Install KEDA, or set \`keda.namespace\` to KEDA's namespace. docs/monitoring.md describes the change from \`autoscaler: hpa\`.`;
  const others = (autoscalers ?? [])
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
 * Ends the program, before it changes anything, if the cluster is too old or has conflicting objects, if the config does not
 * name the addresses of the Kubernetes API or opens them to sessions, or if the stack has an adapter and the APIServices can't be
 * read. Even with `adoptExisting`, the program refuses a metrics API that another server already serves, and namespaces and
 * PriorityClasses that belong to another stack. The program only warns, and goes on, if it can't read other facts, or if the
 * Kubernetes API has an address that is not in the config.
 */
export async function refuseConflicts(access: ClusterAccess, config: Checked): Promise<void> {
  const found = await cluster.readCluster(access, config.namespace).catch(({ message }: Error) => {
    throw new pulumi.RunError(`${message}. Nothing was changed. Correct \`context\` or \`kubeconfig\`.`);
  });
  if (found === undefined) return;
  const faults = conflicts(config, found, pulumi.getStack());
  if (faults.length > 0)
    throw new pulumi.RunError(
      ["The stack can't be deployed to this cluster. Nothing was changed.", ...faults].join("\n"),
    );
  const unread = unreadText(found);
  if (unread !== "")
    await pulumi.log.warn(`Berth could not read ${unread}, so it did not look for conflicts with them.`);
  const unopened = unopenedApi(config, found.apiServers ?? []);
  if (unopened.length > 0)
    await pulumi.log.warn(
      `The Kubernetes API is at ${unopened.join(", ")}, outside of \`kubernetesApi\`. If the worker can't reach it at another address, no session starts until you add the range of these addresses to \`kubernetesApi\`.`,
    );
}
