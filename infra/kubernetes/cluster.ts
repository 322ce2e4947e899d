/** What the program asks the cluster before it makes anything: what others have there already. */
import * as k8s from "@kubernetes/client-node";

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

/**
 * Asks the cluster of a kubeconfig context. @param namespace whose autoscalers are listed; it need not exist
 * @throws Error that says why there is no answer
 */
export async function look(context: string, namespace: string): Promise<Found> {
  const config = new k8s.KubeConfig();
  config.loadFromDefault();
  if (!config.getContextObject(context)) throw new Error(`the kubeconfig has no context ${context}`);
  config.setCurrentContext(context);
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

type Look = (context: string, namespace: string) => Promise<Found | undefined>;

/** How the program looks. The recorder of tests and manifests, which has no cluster to ask, puts its own in place. */
export const cluster: { look: Look } = { look };
