/**
 * Calls the Kubernetes API with plain JSON. The typed objects of @kubernetes/client-node would drop each field that this package
 * does not know.
 */
import { existsSync, readFileSync } from "node:fs";
import * as k8s from "@kubernetes/client-node";
import pRetry from "p-retry";
import { configOf, reason } from "../../../../infra/kubernetes/cluster.ts";
import type { Props } from "../protocol/values.ts";
import { type Kind, pathOf } from "./kinds.ts";
import { type ManagedFields, takenOver } from "./managers.ts";
import { idOf, type KubeObject, type Metadata, metadataOf, namespaceOf } from "./object.ts";

/** An error response of the API server. */
export class ApiError extends Error {
  override name = "ApiError";
  /** The HTTP status of the response. */
  readonly code: number;
  /** The texts about the conflicts with other field managers; empty if the error is another one. */
  readonly conflicts: string[];

  constructor(code: number, message: string, conflicts: string[] = []) {
    super(message);
    this.code = code;
    this.conflicts = conflicts;
  }
}

export const isCode = (error: unknown, ...codes: number[]): boolean =>
  error instanceof ApiError && codes.includes(error.code);

/** Ignores the error 404, for calls on an object that may be missing. */
const unlessMissing = (error: unknown): undefined => {
  if (!isCode(error, 404)) throw error;
};

const objectPath = (kind: Kind, object: Props) => `${pathOf(kind, namespaceOf(object))}/${metadataOf(object).name}`;

export interface ApplyOptions {
  fieldManager: string;
  /** Whether the API server only checks the request and stores nothing. */
  dryRun?: boolean;
  /** Whether the apply also sets fields that other managers own. If not, such a conflict is an error (409). Default: false. */
  force?: boolean;
}

export class Api {
  readonly #config: k8s.KubeConfig;

  constructor(config: k8s.KubeConfig) {
    this.#config = config;
  }

  /** Returns the object; undefined if it does not exist. */
  async find(kind: Kind, metadata: Metadata): Promise<KubeObject | undefined> {
    return (await this.#call("GET", objectPath(kind, { metadata }), {}).catch(unlessMissing)) as KubeObject | undefined;
  }

  /** Creates the object, or updates it to the given fields, by server-side apply. */
  apply(kind: Kind, object: Props, { fieldManager, dryRun, force = false }: ApplyOptions): Promise<KubeObject> {
    const query = { fieldManager, force: String(force), ...(dryRun && { dryRun: "All" }) };
    return this.#call("PATCH", objectPath(kind, object), query, object) as Promise<KubeObject>;
  }

  /** Returns whether the API server would accept the object if no object of this name existed. */
  async wouldCreate(kind: Kind, object: Props): Promise<boolean> {
    const { name = "", ...metadata } = metadataOf(object);
    const renamed = { ...object, metadata: { ...metadata, name: `${name.slice(0, 40)}-anew` } };
    try {
      await this.#call("POST", pathOf(kind, namespaceOf(object)), { dryRun: "All" }, renamed);
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  /**
   * Makes `fieldManager` the manager of the fields that kubectl or another run of Pulumi wrote (see managers.ts). Tries again if
   * somebody changed the object between the read and the write.
   */
  async takeOver(kind: Kind, object: Props, fieldManager: string): Promise<void> {
    const once = async () => {
      const live = await this.find(kind, metadataOf(object));
      const { managedFields = [], resourceVersion } = live?.metadata ?? {};
      const value = takenOver(managedFields as ManagedFields[], fieldManager);
      if (value === undefined) return;
      await this.#call("PATCH", objectPath(kind, object), {}, [
        { op: "replace", path: "/metadata/managedFields", value },
        { op: "replace", path: "/metadata/resourceVersion", value: resourceVersion },
      ]);
    };
    await pRetry(once, { retries: 9, minTimeout: 10, shouldRetry: ({ error }) => isCode(error, 409) });
  }

  /** Asks the API server to delete the object's dependents and then the object. Does not wait. A missing object is no error. */
  async delete(kind: Kind, object: Props): Promise<void> {
    await this.#call("DELETE", objectPath(kind, object), {}, { propagationPolicy: "Foreground" }).catch(unlessMissing);
  }

  /** Returns the pods of a namespace that have the labels. */
  async pods(namespace: string, labels: Record<string, string>): Promise<k8s.V1Pod[]> {
    const labelSelector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { items } = (await this.#call("GET", path, { labelSelector: labelSelector.join() })) as k8s.V1PodList;
    return items;
  }

  /** Returns the storage class's binding mode, `WaitForFirstConsumer` or `Immediate`. */
  async bindingMode(storageClass: string): Promise<unknown> {
    const path = `/apis/storage.k8s.io/v1/storageclasses/${storageClass}`;
    return ((await this.#call("GET", path, {})) as Props).volumeBindingMode;
  }

  /**
   * Calls the API server. If the API server is overloaded, repeats the call for up to half a minute. A repetition is safe,
   * because no call of this class does harm when it is made twice.
   */
  #call(method: k8s.HttpMethod, path: string, query: Record<string, string>, body?: object): Promise<unknown> {
    return pRetry(() => this.#once(method, path, query, body), {
      retries: 5,
      shouldRetry: ({ error }) => isCode(error, 429, 503, 504),
    });
  }

  async #once(method: k8s.HttpMethod, path: string, query: Record<string, string>, body?: object): Promise<unknown> {
    const server = this.#config.getCurrentCluster()?.server;
    const request = new k8s.RequestContext(`${server}${path}?${new URLSearchParams(query)}`, method);
    if (body) {
      const patch = Array.isArray(body) ? "application/json-patch+json" : "application/apply-patch+yaml";
      request.setHeaderParam("Content-Type", method === "PATCH" ? patch : "application/json");
      request.setBody(JSON.stringify(body));
    }
    await this.#config.applySecurityAuthentication(request);
    const response = await new k8s.IsomorphicFetchHttpLibrary()
      .send(request)
      .toPromise()
      .catch((error: Error) => {
        throw new Error(`The Kubernetes API at ${server} can't be reached: ${reason(error)}`);
      });
    const text = await response.body.text();
    if (response.httpStatusCode < 300) return JSON.parse(text);
    const { message = `${method} ${path}: HTTP ${response.httpStatusCode}`, details } = statusOf(text);
    const conflicts = details?.causes?.filter(({ reason }) => reason === "FieldManagerConflict") ?? [];
    throw new ApiError(
      response.httpStatusCode,
      message,
      conflicts.map(({ message = "" }) => message),
    );
  }
}

/** Reads a Status, the form in which the API server answers errors. Empty if a proxy has answered in another form. */
function statusOf(text: string): k8s.V1Status {
  try {
    return JSON.parse(text) as k8s.V1Status;
  } catch {
    return {};
  }
}

/**
 * Loads the kubeconfig.
 * @param kubeconfig the provider's argument: a path, or the text of a kubeconfig. Default: the kubeconfig that kubectl would use,
 * for example the file that KUBECONFIG names
 * @throws Error when the kubeconfig lacks the context
 */
export function loadConfig(kubeconfig: string | undefined, context = ""): k8s.KubeConfig {
  if (!kubeconfig) return configOf({ context });
  return configOf({ context, kubeconfig: existsSync(kubeconfig) ? readFileSync(kubeconfig, "utf8") : kubeconfig });
}

/** The name of an object in errors, for example `Deployment berth/api`. */
export const nameOf = (object: Props): string => `${object.kind} ${idOf(object)}`;
