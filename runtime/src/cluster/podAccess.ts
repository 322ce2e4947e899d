/**
 * The two things that the API itself asks of Kubernetes: a pod's log and a command in it. Its Role gives it `pods/log` get,
 * `pods/exec` create and get where the tenant's config allows that, and nothing else.
 */
import http, { type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { WebSocket } from "ws";
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
    const { url, options } = await this.#request(session, "log", query);
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

  /**
   * Runs the command in the agent's container. The WebSocket carries Kubernetes' channels: each message begins with the
   * byte of its channel. Throws PodAccessError.
   */
  async exec(session: At, command: readonly string[], { tty }: { tty: boolean }): Promise<WebSocket> {
    const query = new URLSearchParams([
      ["container", "agent"],
      ["stdin", "true"],
      ["stdout", "true"],
      ["stderr", String(!tty)], // a terminal has one stream
      ["tty", String(tty)],
      ...command.map((argument): [string, string] => ["command", argument]),
    ]);
    const { url, options } = await this.#request(session, "exec", query);
    const socket = new WebSocket(url.replace(/^http/, "ws"), ["v5.channel.k8s.io", "v4.channel.k8s.io"], {
      ...options,
      handshakeTimeout: patienceMs,
      maxPayload: 16 * 1024 * 1024,
    });
    return new Promise((resolve, reject) => {
      socket.on("open", () => {
        socket.pause(); // until there is somebody to send to
        resolve(socket);
      });
      socket.on("error", (error) => reject(new PodAccessError(error.message)));
      socket.on("unexpected-response", (_request, response) => {
        readRefusal(response).then(reject, reject);
      });
    });
  }

  async #request({ id, namespace }: At, what: "log" | "exec", query: URLSearchParams) {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new PodAccessError("no cluster is configured");
    const options: https.RequestOptions & { headers?: OutgoingHttpHeaders } = {};
    await this.config.applyToHTTPSOptions(options).catch((error: unknown) => {
      throw new PodAccessError(`no credentials for the cluster: ${(error as Error).message}`);
    });
    const url = `${cluster.server}/api/v1/namespaces/${namespace}/pods/${objectName(id)}/${what}?${query}`;
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
