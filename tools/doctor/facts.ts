/** Looks up in the cluster what a stack's config names. Nothing here changes the cluster. */
import * as k8s from "@kubernetes/client-node";
import {
  type ClusterAccess,
  configOf,
  type FoundObject,
  type RunningAutoscaler,
  readCluster,
  reason,
  unreadText,
} from "../../infra/kubernetes/cluster.ts";
import type { NeededKind, NeededRight, NeededSecret, Needs } from "./needs.ts";
import type { NodeFacts } from "./nodes.ts";

/** What the cluster has of the objects, kinds and permissions that the config needs. */
export interface Facts {
  nodes: NodeFacts[];
  /** Whether an autoscaler of the cluster can add nodes: Cluster Autoscaler or Karpenter. */
  addsNodes: boolean;
  priorityClasses: FoundObject[];
  namespaces: FoundObject[];
  /** The needed Secrets that exist, with the names of their keys. No value is kept. */
  secrets: { namespace: string; name: string; keys: string[] }[];
  /** The needed kinds that the cluster does not have. */
  missingKinds: NeededKind[];
  /** cert-manager's Issuers in the platform's namespace. */
  issuers: string[];
  /** The HorizontalPodAutoscalers of the platform's namespace. */
  autoscalers: RunningAutoscaler[];
  /** What the user may not do, for example `create deployments.apps`. */
  refused: string[];
}

/** Cluster Autoscaler writes its state to this ConfigMap, also on GKE and AKS. */
const clusterAutoscaler = { namespace: "kube-system", name: "cluster-autoscaler-status" };

/** The verbs that `up` and `destroy` need for each object. */
const verbs = ["create", "patch", "delete"];

/**
 * Looks up the facts.
 * @throws Error that names what can't be read, with the API server's answer
 */
export async function factsOf(access: ClusterAccess, needs: Needs): Promise<Facts> {
  const config = configOf(access);
  const core = config.makeApiClient(k8s.CoreV1Api);
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const authorization = config.makeApiClient(k8s.AuthorizationV1Api);
  const { namespace } = needs;
  const read = <T>(what: string, answer: Promise<T>): Promise<T> =>
    answer.catch((error: Error) => {
      throw new Error(`${what} can't be read: ${reason(error)}`);
    });

  const hasKind = async ({ group, version, resource }: NeededKind): Promise<boolean> => {
    const found = await read(`the API ${group}`, custom.getAPIResources({ group, version }).catch(ifMissing));
    return found?.resources.some(({ name }) => name === resource) ?? false;
  };
  const secretOf = async ({ namespace, name }: NeededSecret): Promise<Facts["secrets"]> => {
    const what = `the Secret ${name} in the namespace ${namespace}`;
    const found = await read(what, core.readNamespacedSecret({ namespace, name }).catch(ifMissing));
    return found ? [{ namespace, name, keys: Object.keys(found.data ?? {}) }] : [];
  };
  const refusedOf = async ({ group, resource }: NeededRight): Promise<string[]> => {
    const answers = await Promise.all(
      verbs.map(async (verb) => {
        const body = { spec: { resourceAttributes: { group, resource, verb } } };
        const { status } = await read("your permissions", authorization.createSelfSubjectAccessReview({ body }));
        return status?.allowed ? [] : [`${verb} ${group === "" ? resource : `${resource}.${group}`}`];
      }),
    );
    return answers.flat();
  };
  const listed = async (group: string, version: string, plural: string): Promise<string[]> => {
    const answer = custom.listNamespacedCustomObject({ group, version, namespace, plural }).catch(ifMissing);
    const found = await read(`the ${plural} of the namespace ${namespace}`, answer);
    return ((found?.items ?? []) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
  };

  const [nodes, scaler, karpenter, found] = await Promise.all([
    read("the nodes", core.listNode()),
    read("the ConfigMaps of kube-system", core.readNamespacedConfigMap(clusterAutoscaler).catch(ifMissing)),
    read("the API karpenter.sh", custom.getAPIResources({ group: "karpenter.sh", version: "v1" }).catch(ifMissing)),
    readCluster(access, namespace),
  ]);
  const { autoscalers = [], namespaces = [], priorityClasses = [] } = found;
  const unread = unreadText(found);
  if (unread !== "") throw new Error(`\`up\` looks at facts that can't be read: ${unread}`);
  const [secrets, kinds, issuers, refused] = await Promise.all([
    Promise.all(needs.secrets.map(secretOf)),
    Promise.all(needs.kinds.map(async (kind) => ((await hasKind(kind)) ? [] : [kind]))),
    listed("cert-manager.io", "v1", "issuers"),
    Promise.all(needs.rights.map(refusedOf)),
  ]);
  return {
    nodes: nodes.items.map(({ metadata, spec }) => ({
      name: metadata?.name ?? "",
      labels: metadata?.labels ?? {},
      taints: spec?.taints ?? [],
    })),
    addsNodes: scaler !== undefined || karpenter !== undefined,
    priorityClasses,
    namespaces,
    secrets: secrets.flat(),
    missingKinds: kinds.flat(),
    issuers,
    autoscalers,
    refused: refused.flat(),
  };
}

/** Undefined for the API server's answer 404. @throws every other error */
export const ifMissing = (error: unknown): undefined => {
  if (!(error instanceof k8s.ApiException) || error.code !== 404) throw error;
};
