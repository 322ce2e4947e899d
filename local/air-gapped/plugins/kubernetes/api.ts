/** The Kubernetes API, spoken in plain JSON: the client's typed objects would leave out fields that they don't know. */
import { existsSync } from "node:fs";
import * as k8s from "@kubernetes/client-node";
import pRetry from "p-retry";
import type { Props } from "../protocol/values.ts";
import { type Kind, pathOf } from "./kinds.ts";
import { type ManagedFields, takenOver } from "./managers.ts";
import { idOf, type KubeObject, metadataOf, namespaceOf } from "./object.ts";

/** What the API server says no to. */
export class ApiError extends Error {
  override name = "ApiError";
  /** HTTP status. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export const isCode = (error: unknown, ...codes: number[]): boolean =>
  error instanceof ApiError && codes.includes(error.code);

export interface ApplyOptions {
  fieldManager: string;
  /** Whether nothing is kept of it. */
  dryRun?: boolean;
  /** Whether fields are taken from other managers. */
  force?: boolean;
}

export class Api {
  readonly #config: k8s.KubeConfig;

  constructor(config: k8s.KubeConfig) {
    this.#config = config;
  }

  /** @throws ApiError 404 where there is none */
  get(kind: Kind, { name = "", namespace = "default" }: { name?: string; namespace?: string }): Promise<KubeObject> {
    return this.#call("GET", `${pathOf(kind, namespace)}/${name}`, {}) as Promise<KubeObject>;
  }

  /** Server-side apply: makes the object or brings it to what is said here. */
  apply(kind: Kind, object: Props, { fieldManager, dryRun, force = false }: ApplyOptions): Promise<KubeObject> {
    const query = { fieldManager, force: String(force), ...(dryRun && { dryRun: "All" }) };
    const path = `${pathOf(kind, namespaceOf(object))}/${metadataOf(object).name}`;
    return this.#call("PATCH", path, query, object) as Promise<KubeObject>;
  }

  /** Says whether the API server would take the object if there were none of its name. */
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
   * Makes the fields that the official plugin or kubectl wrote those of `fieldManager`. Tried again where a controller wrote
   * the object in between.
   */
  takeOver(kind: Kind, object: Props, fieldManager: string): Promise<void> {
    return pRetry(() => this.#takeOverOnce(kind, object, fieldManager), {
      retries: 9,
      minTimeout: 10,
      shouldRetry: ({ error }) => isCode(error, 409),
    });
  }

  /** Whether there is anything that `takeOver` would take. */
  async wouldTakeOver(kind: Kind, object: Props, fieldManager: string): Promise<boolean> {
    return (await this.#taken(kind, object, fieldManager)).value !== undefined;
  }

  async #taken(kind: Kind, object: Props, fieldManager: string) {
    const live = await this.get(kind, metadataOf(object)).catch((error) => {
      if (!isCode(error, 404)) throw error;
    });
    const { managedFields = [], resourceVersion } = live?.metadata ?? {};
    return { value: takenOver(managedFields as ManagedFields[], fieldManager), resourceVersion };
  }

  async #takeOverOnce(kind: Kind, object: Props, fieldManager: string): Promise<void> {
    const { value, resourceVersion } = await this.#taken(kind, object, fieldManager);
    if (value === undefined) return;
    await this.#call("PATCH", `${pathOf(kind, namespaceOf(object))}/${metadataOf(object).name}`, {}, [
      { op: "replace", path: "/metadata/managedFields", value },
      { op: "replace", path: "/metadata/resourceVersion", value: resourceVersion },
    ]);
  }

  /** What depends on the object goes first; returns at once. */
  async delete(kind: Kind, object: Props): Promise<void> {
    const path = `${pathOf(kind, namespaceOf(object))}/${metadataOf(object).name}`;
    await this.#call("DELETE", path, {}, { propagationPolicy: "Foreground" });
  }

  /** Pods of a namespace that have the labels. */
  async pods(namespace: string, labels: Record<string, string>): Promise<k8s.V1Pod[]> {
    const labelSelector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { items } = (await this.#call("GET", path, { labelSelector: labelSelector.join() })) as k8s.V1PodList;
    return items;
  }

  /** `WaitForFirstConsumer` or `Immediate`. */
  async bindingMode(storageClass: string): Promise<unknown> {
    const path = `/apis/storage.k8s.io/v1/storageclasses/${storageClass}`;
    return ((await this.#call("GET", path, {})) as Props).volumeBindingMode;
  }

  /** Tried again, for half a minute, where the API server says that it can't now: whatever is asked here may be asked twice. */
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
        throw new Error(
          `The Kubernetes API at ${server} can't be reached: ${(error.cause as Error)?.message ?? error.message}`,
        );
      });
    const text = await response.body.text();
    if (response.httpStatusCode < 300) return JSON.parse(text);
    throw new ApiError(response.httpStatusCode, reason(text) ?? `${method} ${path}: HTTP ${response.httpStatusCode}`);
  }
}

function reason(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message;
  } catch {
    return undefined;
  }
}

/**
 * The kubeconfig of the provider's arguments: a file or its text, else what KUBECONFIG names.
 * @throws when it hasn't the context
 */
export function loadConfig(kubeconfig: string | undefined, context: string | undefined): k8s.KubeConfig {
  const config = new k8s.KubeConfig();
  if (!kubeconfig) config.loadFromDefault();
  else if (existsSync(kubeconfig)) config.loadFromFile(kubeconfig);
  else config.loadFromString(kubeconfig);
  if (context !== undefined) {
    if (!config.getContextObject(context)) throw new Error(`The kubeconfig has no context ${context}.`);
    config.setCurrentContext(context);
  }
  return config;
}

/** How errors name an object: `Deployment berth/api`. */
export const nameOf = (object: Props): string => `${object.kind} ${idOf(object)}`;
