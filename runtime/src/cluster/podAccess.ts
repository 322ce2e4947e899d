/** The one thing that the API itself asks of Kubernetes: a pod's log. Its Role gives it `pods/log` get, and nothing else. */
import http, { type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Session } from "../domain/session.ts";
import { objectName } from "./names.ts";

/** Milliseconds in which Kubernetes must have begun to answer. */
const patienceMs = 10_000;

/** Kubernetes' answer was not the wanted one; `status` is undefined if there was none. */
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
  /** Whether to stay and send what is written from now on too. */
  follow: boolean;
  /** How many of the last lines. */
  tail: number;
  /** Whether each line begins with its time. */
  timestamps: boolean;
}

export class PodAccess {
  constructor(private readonly config: KubeConfig) {}

  /** The log of the agent's container; ends with it, or by the signal. Throws PodAccessError. */
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
        request.setTimeout(0); // from now on silence is only an agent that says nothing
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

/** Kubernetes tells why in a Status object. */
async function readRefusal(response: IncomingMessage): Promise<PodAccessError> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 16_384) break;
  }
  try {
    text = String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    // not a Status object: the text itself
  }
  return new PodAccessError(text, response.statusCode);
}
