/**
 * Direct calls to the Kubernetes API, without Pulumi's provider: they identify the cluster, find conflicting objects, and delete
 * unused generations.
 */
import * as k8s from "@kubernetes/client-node";
import { nameWithoutContent } from "./content-name.ts";

/** How to reach a cluster. */
export interface ClusterAccess {
  /** A context of the kubeconfig. Empty: the current context. */
  context: string;
  /** The content of a kubeconfig. Default: the user's kubeconfig (KUBECONFIG, or ~/.kube/config). */
  kubeconfig?: string;
}

/** An API group and version that is registered in the cluster (APIService). */
export interface RegisteredApi {
  /** The APIService's name, for example v1beta1.metrics.k8s.io. */
  name: string;
  group: string;
  /**
   * The Service to which the Kubernetes API server forwards this API's calls, as `namespace/name`. Null: the Kubernetes API
   * server answers the calls itself.
   */
  service: string | null;
}

/** A HorizontalPodAutoscaler in the cluster. */
export interface RunningAutoscaler {
  name: string;
  /** The object that the autoscaler scales, for example `Deployment worker`. */
  target: string;
  /** The kinds of the objects that own the autoscaler (its ownerReferences), for example ScaledObject. */
  owners: string[];
}

/** A namespace or a PriorityClass of the cluster. */
export interface FoundObject {
  name: string;
  /** The name, without the organization, of the Berth stack to which the object belongs; null if it belongs to none. */
  stack: string | null;
}

/** An address and a port at which a Kubernetes API server answers. */
export interface ApiServer {
  address: string;
  port: number;
}

/** Facts about a cluster. From them, platform/conflicts.ts finds what prevents the deployment of the stack. */
export interface ClusterFacts {
  /** Kubernetes' version, for example v1.34.1-gke.200. */
  version: string;
  apis: RegisteredApi[];
  /** The autoscalers of one namespace. */
  autoscalers: RunningAutoscaler[];
  namespaces: FoundObject[];
  priorityClasses: FoundObject[];
  /** The Kubernetes API servers, as the EndpointSlice `kubernetes` has them. */
  apiServers: ApiServer[];
}

/** The facts that could be read. For each other fact, `unread` has the reason, for example "the API server answers HTTP 403". */
export type Found = Partial<ClusterFacts> & { unread: Partial<Record<keyof ClusterFacts, string>> };

const factNames: Record<keyof ClusterFacts, string> = {
  version: "the version",
  apis: "the APIServices",
  autoscalers: "the HorizontalPodAutoscalers",
  namespaces: "the namespaces",
  priorityClasses: "the PriorityClasses",
  apiServers: "the EndpointSlice `kubernetes`",
};

/** What could not be read, with the reasons, for example "the namespaces (the API server answers HTTP 403)". Empty: nothing. */
export const unreadText = ({ unread }: Pick<Found, "unread">): string =>
  [...Map.groupBy(Object.entries(unread), ([, why]) => why)]
    .map(([why, facts]) => `${facts.map(([fact]) => factNames[fact as keyof ClusterFacts]).join(", ")} (${why})`)
    .join("; ");

/** An immutable ConfigMap or Secret whose name contains a hash of its content; see generations.ts. */
export interface Generation {
  kind: "ConfigMap" | "Secret";
  name: string;
  uid: string;
  createdAt: Date;
}

/** The generations of a namespace. */
export interface FoundGenerations {
  generations: Generation[];
  /** All objects that may refer to a generation: pods, and the objects from which pods are made. */
  users: object[];
}

/**
 * The cluster's identity: the UID of its namespace kube-system, which lives as long as the cluster.
 * @throws Error with the reason if the cluster does not answer or refuses, or if the kubeconfig is wrong (`configOf`)
 */
export async function identify(access: ClusterAccess): Promise<string> {
  const core = configOf(access).makeApiClient(k8s.CoreV1Api);
  try {
    return (await core.readNamespace({ name: "kube-system" })).metadata?.uid ?? "";
  } catch (error) {
    throw new Error(reason(error as Error));
  }
}

/**
 * Reads from a cluster what `Found` describes. Each fact is read separately, so that one refused read does not hide the others.
 * @param namespace the namespace of the autoscalers, which need not exist
 * @throws Error if the kubeconfig is wrong (`configOf`)
 */
export async function readCluster(access: ClusterAccess, namespace: string): Promise<Found> {
  const config = configOf(access);
  const core = config.makeApiClient(k8s.CoreV1Api);
  const slice = { namespace: "default", name: "kubernetes" };
  const reads: { [Fact in keyof ClusterFacts]: () => Promise<ClusterFacts[Fact]> } = {
    version: async () => (await config.makeApiClient(k8s.VersionApi).getCode()).gitVersion,
    apis: async () => (await config.makeApiClient(k8s.ApiregistrationV1Api).listAPIService()).items.map(registered),
    autoscalers: async () => {
      const api = config.makeApiClient(k8s.AutoscalingV2Api);
      return (await api.listNamespacedHorizontalPodAutoscaler({ namespace })).items.map(running);
    },
    namespaces: async () => (await core.listNamespace()).items.map(owned),
    priorityClasses: async () => (await config.makeApiClient(k8s.SchedulingV1Api).listPriorityClass()).items.map(owned),
    apiServers: async () => {
      return apiServersOf(await config.makeApiClient(k8s.DiscoveryV1Api).readNamespacedEndpointSlice(slice));
    },
  };
  const found: Found = { unread: {} };
  await Promise.all(
    Object.entries(reads).map(async ([fact, read]) => {
      try {
        Object.assign(found, { [fact]: await read() });
      } catch (error) {
        Object.assign(found.unread, { [fact]: reason(error as Error) });
      }
    }),
  );
  return found;
}

/** The API servers of the EndpointSlice `kubernetes`. */
export const apiServersOf = ({ endpoints, ports }: k8s.V1EndpointSlice): ApiServer[] =>
  (endpoints ?? []).flatMap(({ addresses }) =>
    addresses.flatMap((address) => (ports ?? []).map(({ port = 443 }) => ({ address, port }))),
  );

/** The fields of an APIService that the program needs. */
export const registered = ({ metadata, spec }: k8s.V1APIService): RegisteredApi => ({
  name: metadata?.name ?? "",
  group: spec?.group ?? "",
  service: spec?.service ? `${spec.service.namespace}/${spec.service.name}` : null,
});

/** The object with its owner, which the labels name that every object of a stack has (labels.ts). */
const owned = ({ metadata }: k8s.V1Namespace | k8s.V1PriorityClass): FoundObject => ({
  name: metadata?.name ?? "",
  stack:
    metadata?.labels?.["app.kubernetes.io/part-of"] === "berth"
      ? (metadata.labels["app.kubernetes.io/instance"] ?? null)
      : null,
});

const running = ({ metadata, spec }: k8s.V2HorizontalPodAutoscaler): RunningAutoscaler => ({
  name: metadata?.name ?? "",
  target: `${spec?.scaleTargetRef.kind} ${spec?.scaleTargetRef.name}`,
  owners: (metadata?.ownerReferences ?? []).map(({ kind }) => kind),
});

/**
 * Returns a text that says why a call failed. The text contains the HTTP status of the Kubernetes API server's answer, but not
 * the answer's body.
 */
export const reason = (error: Error): string =>
  error instanceof k8s.ApiException
    ? `the API server answers HTTP ${error.code}`
    : ((error.cause as Error | undefined)?.message ?? error.message);

/** @throws Error if the kubeconfig is invalid or does not contain the context */
export function configOf({ context, kubeconfig }: ClusterAccess): k8s.KubeConfig {
  const config = new k8s.KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else
    try {
      config.loadFromString(kubeconfig);
    } catch {
      // The parser's message would show parts of the kubeconfig.
      throw new Error("the kubeconfig is not valid YAML");
    }
  if (context === "") return config;
  if (!config.getContextObject(context)) {
    const known = config.getContexts().map(({ name }) => name);
    throw new Error(`the kubeconfig has no context ${context}; it has ${known.join(", ") || "none"}`);
  }
  config.setCurrentContext(context);
  return config;
}

/**
 * Deletes the generations that `pick` selects.
 * @param labels the labels that every generation of the stack has; `pick` gets only objects with these labels
 * @returns the deleted objects, for example `ConfigMap api-config-3f9a1c02d4`
 * @throws Error with the reason if the cluster does not answer or refuses, or if the kubeconfig is wrong (`configOf`)
 */
export async function collect(
  access: ClusterAccess,
  namespace: string,
  labels: Record<string, string>,
  pick: (found: FoundGenerations) => Generation[],
): Promise<string[]> {
  const config = configOf(access);
  try {
    const core = config.makeApiClient(k8s.CoreV1Api);
    const gone: string[] = [];
    for (const { kind, name, uid } of pick(await generations(config, namespace, labels))) {
      const which = { namespace, name, body: { preconditions: { uid } } };
      await (kind === "ConfigMap" ? core.deleteNamespacedConfigMap(which) : core.deleteNamespacedSecret(which));
      gone.push(`${kind} ${name}`);
    }
    return gone;
  } catch (error) {
    throw new Error(reason(error as Error));
  }
}

/**
 * Lists the generations (ConfigMaps and Secrets; see generations.ts), and then the objects that may use them. Because of this
 * order, the second list contains each object that begins to use a generation while the first list is being made.
 */
async function generations(
  config: k8s.KubeConfig,
  namespace: string,
  labels: Record<string, string>,
): Promise<FoundGenerations> {
  const [core, apps, batch] = [
    config.makeApiClient(k8s.CoreV1Api),
    config.makeApiClient(k8s.AppsV1Api),
    config.makeApiClient(k8s.BatchV1Api),
  ];
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join();
  const [configMaps, secrets] = await Promise.all([
    core.listNamespacedConfigMap({ namespace, labelSelector }),
    core.listNamespacedSecret({ namespace, labelSelector }),
  ]);
  const users = await Promise.all([
    core.listNamespacedPod({ namespace }),
    core.listNamespacedPodTemplate({ namespace }),
    core.listNamespacedReplicationController({ namespace }),
    apps.listNamespacedDeployment({ namespace }),
    apps.listNamespacedReplicaSet({ namespace }),
    apps.listNamespacedStatefulSet({ namespace }),
    apps.listNamespacedDaemonSet({ namespace }),
    apps.listNamespacedControllerRevision({ namespace }),
    batch.listNamespacedJob({ namespace }),
    batch.listNamespacedCronJob({ namespace }),
  ]);
  return {
    generations: [
      ...configMaps.items.flatMap((object) => generation("ConfigMap", object)),
      ...secrets.items.flatMap((object) => generation("Secret", object)),
    ],
    users: users.flatMap(({ items }): object[] => items),
  };
}

/**
 * A list with the object as a generation; an empty list if the object's name contains no hash or the object isn't immutable.
 */
function generation(kind: Generation["kind"], { metadata, immutable }: k8s.V1ConfigMap | k8s.V1Secret): Generation[] {
  const { name = "", uid = "", creationTimestamp } = metadata ?? {};
  if (!immutable || !nameWithoutContent(name) || !creationTimestamp) return [];
  return [{ kind, name, uid, createdAt: creationTimestamp }];
}

interface Cluster {
  identify: typeof identify;
  readCluster: (...args: Parameters<typeof readCluster>) => Promise<Found | undefined>;
  collect: typeof collect;
}

/** The calls that the program makes. Tests and the rendering of manifests have no cluster, so they replace these calls. */
export const cluster: Cluster = { identify, readCluster, collect };
