/** Sends webhooks. */
import http from "node:http";
import https from "node:https";
import { publicLookup, refuseAddress } from "./publicAddress.ts";

/** The number of bytes of an answer's body that are read. If there are more, the connection is closed. */
const bodyLimit = 64 * 1_024;

export interface Answer {
  status: number;
  /** The number of seconds in the answer's Retry-After header; undefined if there is none, or if it contains a date. */
  retryAfter: number | undefined;
}

export interface PosterOptions {
  /** An attempt fails if there is no answer after this many milliseconds. Default: 10,000. */
  timeoutMs?: number;
  /**
   * A connection without a request is closed after this many milliseconds. Default: 4,000, because many receivers close such
   * a connection after 5 s.
   */
  idleMs?: number;
}

export class Poster {
  readonly #agents: { http: http.Agent; https: https.Agent };
  readonly #timeoutMs: number;

  /**
   * @param allowPrivate whether http and private addresses are allowed. Otherwise, only https to public addresses is allowed
   */
  constructor(
    private readonly allowPrivate: boolean,
    { timeoutMs = 10_000, idleMs = 4_000 }: PosterOptions = {},
  ) {
    this.#timeoutMs = timeoutMs;
    const options = { keepAlive: true, timeout: idleMs };
    this.#agents = { http: new http.Agent(options), https: new https.Agent(options) };
  }

  /**
   * Posts the body and returns the status of the answer. Redirects are not followed. Throws if the URL is not allowed or there
   * is no answer. Reuses open connections.
   */
  async post(url: URL, headers: Record<string, string>, body: string): Promise<Answer> {
    if (!this.allowPrivate) {
      if (url.protocol !== "https:")
        throw new Error(
          `${url.origin} is not allowed: webhooks must use https unless webhooksToPrivateAddresses is true`,
        );
      refuseAddress(url);
    }
    const deadline = performance.now() + this.#timeoutMs;
    const agent = url.protocol === "https:" ? this.#agents.https : this.#agents.http;
    try {
      return await this.#send(url, { headers, deadline, agent }, body);
    } catch (error) {
      // The receiver closed the connection while it was unused, which is no failure of the receiver.
      if (!(error instanceof StaleConnection)) throw error;
      return this.#send(url, { headers, deadline, agent: false }, body);
    }
  }

  /** Closes the connections. */
  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  #send(url: URL, { headers, deadline, agent }: SendOptions, body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let answer: Answer | undefined;
      const request = (url.protocol === "https:" ? https : http).request(
        url,
        {
          method: "POST",
          headers: { ...headers, "content-type": "application/json", "user-agent": "Berth-Webhooks/1" },
          agent,
          ...(!this.allowPrivate && { lookup: publicLookup }),
        },
        (response) => {
          const retryAfter = Number(response.headers["retry-after"] ?? Number.NaN);
          const read = { status: response.statusCode ?? 0, retryAfter: retryAfter >= 0 ? retryAfter : undefined };
          answer = read;
          // The next request can use the connection only if the body was read.
          let bytes = 0;
          response.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > bodyLimit) response.destroy();
          });
          response.on("error", () => {});
          response.on("close", () => resolve(read));
        },
      );
      const giveUp = () => void request.destroy(new Error(`no answer within ${this.#timeoutMs / 1_000} s`));
      const timer = setTimeout(giveUp, deadline - performance.now());
      request.on("close", () => clearTimeout(timer));
      request.on("error", (error: NodeJS.ErrnoException) => {
        // An answer without its complete body counts, because only the status is needed.
        if (answer !== undefined) return resolve(answer);
        const isStale = request.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
        reject(isStale ? new StaleConnection() : error);
      });
      request.end(body);
    });
  }
}

interface SendOptions {
  headers: Record<string, string>;
  /** When the attempt fails, by performance.now(). */
  deadline: number;
  agent: http.Agent | false;
}

class StaleConnection extends Error {}
