/** The connection to Kubernetes. */
import { ApiException, CoreV1Api, createConfiguration, KubeConfig, ServerConfiguration } from "@kubernetes/client-node";

/** Exactly the calls this program makes, which are also the rights that its Role must give, in each tenant's namespace. */
export type CoreApi = Pick<
  CoreV1Api,
  | "createNamespacedSecret"
  | "readNamespacedSecret"
  | "deleteNamespacedSecret"
  | "createNamespacedPersistentVolumeClaim"
  | "readNamespacedPersistentVolumeClaim"
  | "deleteNamespacedPersistentVolumeClaim"
  | "createNamespacedPod"
  | "readNamespacedPod"
  | "deleteNamespacedPod"
  | "listNamespacedPod" // and watch
>;

/** From KUBECONFIG or ~/.kube/config, else from inside the cluster. */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

/** A client whose calls end after `timeoutMs` (default 10 000) at the latest, with an error. */
export function connectKubernetes(config: KubeConfig, timeoutMs = 10_000): CoreApi {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig names no cluster: set KUBECONFIG or run inside a cluster");
  return new CoreV1Api(
    createConfiguration({
      baseServer: new ServerConfiguration(cluster.server, {}),
      authMethods: { default: config },
      promiseMiddleware: [
        {
          pre: async (request) => {
            request.setSignal(AbortSignal.timeout(timeoutMs));
            return request;
          },
          post: async (response) => response,
        },
      ],
    }),
  );
}

/** What an answer of the API server means for a call. */
export type Refusal =
  /** 404: the object, or its namespace, is not there. */
  | { kind: "missing"; message: string }
  /** The object is there already. */
  | { kind: "exists"; message: string }
  /** Two creates counted against the quota at the same time: at once again. */
  | { kind: "conflict"; message: string }
  /** The tenant's quota is used up; later there may be room. */
  | { kind: "quota"; message: string }
  /** The platform lacks a right, or the namespace something it will get: later it may work. */
  | { kind: "denied"; message: string }
  /** It will never be accepted as it is. */
  | { kind: "rejected"; message: string };

/** Reads the API server's refusal; undefined for everything else: no answer, too busy, broken, where trying again is right. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof ApiException)) return undefined;
  const { reason, message } = statusOf(error);
  switch (error.code) {
    case 404:
      return { kind: "missing", message };
    case 409:
      return { kind: reason === "AlreadyExists" ? "exists" : "conflict", message };
    case 403:
      if (/exceeded quota/.test(message)) return { kind: "quota", message };
      if (/cannot \w+ resource|error looking up service account/.test(message)) return { kind: "denied", message };
      return { kind: "rejected", message };
    case 400:
    case 422:
      return { kind: "rejected", message };
    default:
      return undefined;
  }
}

/** The error's body is a Status object, as JSON text or read already. */
function statusOf(error: ApiException<unknown>): { reason: string; message: string } {
  let body = error.body;
  if (typeof body === "string") {
    try {
      body = JSON.parse(body);
    } catch {
      return { reason: "", message: body as string };
    }
  }
  const { reason, message } = (body ?? {}) as { reason?: unknown; message?: unknown };
  return { reason: String(reason ?? ""), message: String(message ?? error.message) };
}
