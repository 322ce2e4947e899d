/** The connection to Kubernetes. */
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  createConfiguration,
  IsomorphicFetchHttpLibrary,
  KubeConfig,
  type RequestContext,
  ServerConfiguration,
  wrapHttpLibrary,
} from "@kubernetes/client-node";
import { tracing } from "../telemetry/tracing.ts";

/** Exactly the calls the worker makes in each tenant's namespace, which are also the rights that its Role must give. */
export type CoreApi = Pick<
  CoreV1Api,
  | "createNamespacedSecret"
  | "readNamespacedSecret"
  | "listNamespacedSecret"
  | "deleteNamespacedSecret"
  | "createNamespacedPersistentVolumeClaim"
  | "readNamespacedPersistentVolumeClaim"
  | "listNamespacedPersistentVolumeClaim"
  | "deleteNamespacedPersistentVolumeClaim"
  | "createNamespacedPod"
  | "readNamespacedPod"
  | "deleteNamespacedPod"
  | "listNamespacedPod" // and watch
  | "listNamespacedEvent"
>;

/** And those it makes in the platform's namespace. */
export type LeaseApi = Pick<
  CoordinationV1Api,
  "createNamespacedLease" | "readNamespacedLease" | "replaceNamespacedLease"
>;

/** From KUBECONFIG or ~/.kube/config, else from inside the cluster. */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

/** Told of every call: the HTTP method in lower case and the answer's status, 0 if there was none. */
export type OnAnswer = (verb: string, code: number) => void;

/** Clients whose calls end after `timeoutMs` (default 10 000) at the latest, with an error. */
export function connectKubernetes(config: KubeConfig, onAnswer: OnAnswer = () => {}, timeoutMs = 10_000): CoreApi {
  return new CoreV1Api(configuration(config, onAnswer, timeoutMs));
}

/** The same for the Lease; a renewal that takes long is no use (default 5 000). */
export function connectLeases(config: KubeConfig, onAnswer: OnAnswer = () => {}, timeoutMs = 5_000): LeaseApi {
  return new CoordinationV1Api(configuration(config, onAnswer, timeoutMs));
}

const library = new IsomorphicFetchHttpLibrary();

function configuration(config: KubeConfig, onAnswer: OnAnswer, timeoutMs: number) {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig names no cluster: set KUBECONFIG or run inside a cluster");
  // client-node 2.0 makes a dispatcher, and with it a connection and a TLS handshake, for every call: the first serves all.
  let dispatcher: ReturnType<RequestContext["getDispatcher"]>;
  return createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: config },
    httpApi: wrapHttpLibrary({
      async send(request) {
        request.setSignal(AbortSignal.timeout(timeoutMs));
        dispatcher ??= request.getDispatcher();
        if (dispatcher !== undefined) request.setDispatcher(dispatcher);
        const verb = String(request.getHttpMethod()).toLowerCase();
        try {
          const response = await tracing().span("kubernetes", { "http.request.method": verb.toUpperCase() }, () =>
            library.send(request).toPromise(),
          );
          onAnswer(verb, response.httpStatusCode);
          return response;
        } catch (error) {
          onAnswer(verb, 0);
          throw error;
        }
      },
    }),
  });
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
  /** The platform lacks a right, or the namespace something that it will get, such as the quota's count: later it may work. */
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
      if (/cannot \w+ resource|error looking up service account|status unknown for quota/.test(message))
        return { kind: "denied", message };
      return { kind: "rejected", message };
    case 400:
    case 422:
      return { kind: "rejected", message };
    default:
      return undefined;
  }
}

/** In words for people, why the API server could not be asked: it is busy, broken, or doesn't answer. */
export function troubleOf(error: unknown): string {
  if (error instanceof ApiException) {
    if (error.code === 429) return "The cluster is busy; Berth tries again";
    return `The cluster has a fault (${error.code}); Berth tries again`;
  }
  return "The cluster does not answer; Berth tries again";
}

/** For how long the API server asks to be left alone (Retry-After), in milliseconds: a minute at most, 0 if it does not ask. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof ApiException)) return 0;
  const seconds = Number(error.headers["retry-after"]);
  return seconds > 0 ? 1_000 * Math.min(60, seconds) : 0;
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
