/** What the program asks the cluster beside Pulumi's provider: what others have there, and what is superseded. */
import * as k8s from "@kubernetes/client-node";
import { nameWithoutContent } from "./content-name.ts";

/** A part of the Kubernetes API, as registered in the cluster. */
export interface RegisteredApi {
  /** For example v1beta1.metrics.k8s.io. */
  name: string;
  group: string;
  /** The Service that answers, as `namespace/name`; null where the API server does so itself. */
  service: string | null;
}

/** A HorizontalPodAutoscaler. */
export interface RunningAutoscaler {
  name: string;
  /** What it scales, for example `Deployment worker`. */
  target: string;
  /** The kinds of its owners, for example ScaledObject. */
  owners: string[];
}

/** What there is. */
export interface Found {
  apis: RegisteredApi[];
  /** Of one namespace. */
  autoscalers: RunningAutoscaler[];
}

/** An immutable ConfigMap or Secret whose name is made of its content; see generations.ts. */
export interface Generation {
  kind: "ConfigMap" | "Secret";
  name: string;
  uid: string;
  createdAt: Date;
}

/** The generations of a namespace. */
export interface FoundGenerations {
  generations: Generation[];
  /** All that may name one: pods, and whatever pods are made of. */
  users: object[];
}

/**
 * Asks the cluster of a kubeconfig context. @param namespace whose autoscalers are listed; it need not exist
 * @throws Error that says why there is no answer
 */
export async function look(context: string, namespace: string): Promise<Found> {
  const config = configOf(context);
  try {
    const [apis, autoscalers] = await Promise.all([
      config.makeApiClient(k8s.ApiregistrationV1Api).listAPIService(),
      config.makeApiClient(k8s.AutoscalingV2Api).listNamespacedHorizontalPodAutoscaler({ namespace }),
    ]);
    return { apis: apis.items.map(registered), autoscalers: autoscalers.items.map(running) };
  } catch (error) {
    throw new Error(reason(error as Error));
  }
}

const registered = ({ metadata, spec }: k8s.V1APIService): RegisteredApi => ({
  name: metadata?.name ?? "",
  group: spec?.group ?? "",
  service: spec?.service ? `${spec.service.namespace}/${spec.service.name}` : null,
});

const running = ({ metadata, spec }: k8s.V2HorizontalPodAutoscaler): RunningAutoscaler => ({
  name: metadata?.name ?? "",
  target: `${spec?.scaleTargetRef.kind} ${spec?.scaleTargetRef.name}`,
  owners: (metadata?.ownerReferences ?? []).map(({ kind }) => kind),
});

const reason = (error: Error): string =>
  error instanceof k8s.ApiException
    ? `the API server answers HTTP ${error.code}`
    : ((error.cause as Error | undefined)?.message ?? error.message);

/** @throws Error where the kubeconfig hasn't the context */
function configOf(context: string): k8s.KubeConfig {
  const config = new k8s.KubeConfig();
  config.loadFromDefault();
  if (!config.getContextObject(context)) throw new Error(`the kubeconfig has no context ${context}`);
  config.setCurrentContext(context);
  return config;
}

/**
 * Deletes the generations that `pick` picks.
 * @param labels that they carry
 * @returns what was deleted, for example `ConfigMap api-config-3f9a1c02d4`
 * @throws Error that says why there is no answer
 */
export async function collect(
  context: string,
  namespace: string,
  labels: Record<string, string>,
  pick: (found: FoundGenerations) => Generation[],
): Promise<string[]> {
  const config = configOf(context);
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

/** The users are asked for last, so that no generation is found without a user that it had when it was found. */
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

/** None where the object has no content's name, or could be changed. */
function generation(kind: Generation["kind"], { metadata, immutable }: k8s.V1ConfigMap | k8s.V1Secret): Generation[] {
  const { name = "", uid = "", creationTimestamp } = metadata ?? {};
  if (!immutable || !nameWithoutContent(name) || !creationTimestamp) return [];
  return [{ kind, name, uid, createdAt: creationTimestamp }];
}

interface Cluster {
  look: (...args: Parameters<typeof look>) => Promise<Found | undefined>;
  collect: typeof collect;
}

/** How the program asks. The recorder of tests and manifests, which has no cluster to ask, puts its own in place. */
export const cluster: Cluster = { look, collect };
