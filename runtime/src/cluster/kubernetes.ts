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

/**
 * Exactly the calls that the worker makes with client-node in each tenant's namespace. The worker's Role there must allow
 * these calls, and reading logs, which podAccess.ts does by itself.
 */
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

/** The calls for the Lease, which the worker makes in the platform's namespace. */
export type LeaseApi = Pick<
  CoordinationV1Api,
  "createNamespacedLease" | "readNamespacedLease" | "replaceNamespacedLease"
>;

/** Returns the config from KUBECONFIG or ~/.kube/config, or, without these, that of the cluster in which this process runs. */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

/**
 * Called for every request: the HTTP method in lower case, the status of the answer (0 if there was none), and whether the answer, or
 * its absence, says that the API server or its etcd is overloaded.
 */
export type OnAnswer = (verb: string, code: number, isOverload: boolean) => void;

/** Returns a client of the Kubernetes API. A call without an answer fails after `timeoutMs` milliseconds. Default: 10 000. */
export function connectKubernetes(config: KubeConfig, onAnswer: OnAnswer = () => {}, timeoutMs = 10_000): CoreApi {
  return new CoreV1Api(configuration(config, onAnswer, timeoutMs));
}

/** The client for the Lease. Its time limit is shorter (default: 5 000 ms), because a late renewal is useless. */
export function connectLeases(config: KubeConfig, onAnswer: OnAnswer = () => {}, timeoutMs = 5_000): LeaseApi {
  return new CoordinationV1Api(configuration(config, onAnswer, timeoutMs));
}

/**
 * Returns a config with which all requests, and all watches, share their connections. With a plain config, client-node 2.0 opens
 * a connection with a TLS handshake for each request and each watch.
 */
export function sharingConnections(config: KubeConfig): KubeConfig {
  let dispatcher: ReturnType<RequestContext["getDispatcher"]>;
  return Object.assign(Object.create(config) as KubeConfig, {
    async applySecurityAuthentication(request: RequestContext) {
      await config.applySecurityAuthentication(request);
      dispatcher ??= request.getDispatcher();
      if (dispatcher !== undefined) request.setDispatcher(dispatcher);
    },
  });
}

const library = new IsomorphicFetchHttpLibrary();

/** Matches the message of a 500 by which the API server passes on that its etcd did not answer in time, or refused the request. */
const etcdOverload = /etcdserver: (request timed out|too many requests)/;

function configuration(config: KubeConfig, onAnswer: OnAnswer, timeoutMs: number) {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig names no cluster: set KUBECONFIG or run inside a cluster");
  return createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: sharingConnections(config) },
    httpApi: wrapHttpLibrary({
      async send(request) {
        request.setSignal(AbortSignal.timeout(timeoutMs));
        const verb = String(request.getHttpMethod()).toLowerCase();
        try {
          const response = await tracing().span("kubernetes", { "http.request.method": verb.toUpperCase() }, () =>
            library.send(request).toPromise(),
          );
          const { httpStatusCode: code, body } = response;
          // A body can be read only once.
          const text = code === 500 ? await body.text() : "";
          if (code === 500) body.text = async () => text;
          onAnswer(verb, code, code === 429 || code === 504 || etcdOverload.test(text));
          return response;
        } catch (error) {
          onAnswer(verb, 0, true);
          throw error;
        }
      },
    }),
  });
}

/** What an error of the Kubernetes API server means for the caller. */
export type Refusal =
  /** 404: the object or its namespace does not exist. */
  | { kind: "missing"; message: string }
  /** The object exists already. */
  | { kind: "exists"; message: string }
  /** Another call changed the object or the quota's count at the same time. A create may be repeated immediately. */
  | { kind: "conflict"; message: string }
  /** The tenant's quota is used up. There may be room later. */
  | { kind: "quota"; message: string }
  /**
   * The worker lacks a right, or the namespace lacks something that may still come, such as the status of its quota. The
   * call may succeed later.
   */
  | { kind: "denied"; message: string }
  /** The API server will never accept the object as it is. */
  | { kind: "rejected"; message: string };

/** Matches those messages of a 403 that say that something is missing, and not that the object is wrong. */
const lacking =
  /cannot \w+ resource|error looking up service account|status unknown for quota|no PriorityClass with name/;

/**
 * The meaning of the API server's error; undefined for errors after which the same call should be tried again: no answer,
 * overload, internal error.
 */
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
      if (lacking.test(message)) return { kind: "denied", message };
      return { kind: "rejected", message };
    case 400:
    case 422:
      return { kind: "rejected", message };
    default:
      return undefined;
  }
}

/** A sentence for users that says why a call to the API server failed. */
export function troubleOf(error: unknown): string {
  if (error instanceof ApiException) {
    if (error.code === 429) return "The cluster is busy; Berth tries again";
    return `The cluster has a fault (${error.code}); Berth tries again`;
  }
  return "The cluster does not answer; Berth tries again";
}

/** How many milliseconds the API server asks clients to wait (Retry-After), at most a minute; 0 if it does not ask. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof ApiException)) return 0;
  const seconds = Number(error.headers["retry-after"]);
  return seconds > 0 ? 1_000 * Math.min(60, seconds) : 0;
}

/** Reads the Status object in the error's body, which is JSON text or an object. */
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
