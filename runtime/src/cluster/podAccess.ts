/**
 * Reads a pod's log from Kubernetes. The gateway makes no other call to Kubernetes, and the worker uses this call too. The
 * Role of the gateway (or of the API, if the API's pods are the gateway) allows `get` of `pods/log` and nothing else.
 */
import http, { type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Session } from "../domain/session.ts";
import { objectName } from "./names.ts";

/** Maximum time in milliseconds until the first byte of Kubernetes' answer. */
const patienceMs = 10_000;

/** Kubernetes did not return the log. `status` is the HTTP status, or undefined if there was no answer. */
export class PodAccessError extends Error {
  override name = "PodAccessError";
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

type At = Pick<Session, "id" | "namespace">;

export interface LogOptions {
  /** Whether to keep the stream open and send new lines. */
  follow: boolean;
  /** How many of the log's last lines to return. */
  tail: number;
  /** Whether each line of the log begins with the time at which it was written. */
  timestamps: boolean;
}

export class PodAccess {
  constructor(private readonly config: KubeConfig) {}

  /**
   * The log of the agent's container. With `follow`, the stream ends when the container ends; without `follow`, the stream
   * ends after the present last line. Aborting the signal ends the stream with an error. Throws PodAccessError.
   */
  async logs(session: At, { follow, tail, timestamps }: LogOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const query = new URLSearchParams({
      container: "agent",
      follow: String(follow),
      tailLines: String(tail),
      timestamps: String(timestamps),
    });
    const { url, options } = await this.#request(session, query);
    return new Promise((resolve, reject) => {
      const { get } = url.startsWith("https:") ? https : http;
      const request = get(url, { ...options, signal }, (response) => {
        request.setTimeout(0); // after the answer has begun, silence only means that the agent writes nothing
        if (response.statusCode === 200) return resolve(response);
        readRefusal(response).then(reject, reject);
      });
      request.setTimeout(patienceMs, () => request.destroy(new Error(`no answer within ${patienceMs} ms`)));
      request.on("error", (error) => reject(new PodAccessError(error.message)));
    });
  }

  async #request({ id, namespace }: At, query: URLSearchParams) {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new PodAccessError("no cluster is configured");
    const options: https.RequestOptions & { headers?: OutgoingHttpHeaders } = {};
    await this.config.applyToHTTPSOptions(options).catch((error: unknown) => {
      throw new PodAccessError(`no credentials for the cluster: ${(error as Error).message}`);
    });
    const url = `${cluster.server}/api/v1/namespaces/${namespace}/pods/${objectName(id)}/log?${query}`;
    return { url, options };
  }
}

/** Reads the reason from the Status object that Kubernetes returns. */
async function readRefusal(response: IncomingMessage): Promise<PodAccessError> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 16_384) break;
  }
  try {
    text = String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    // The body is not a Status object, so it is used as text.
  }
  return new PodAccessError(text, response.statusCode);
}
