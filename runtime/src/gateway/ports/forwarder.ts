/** Carries requests and WebSockets to berthd in the session's pod, and the answers back, no faster than either side takes them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createProxyServer, type ProxyServer, type ProxyServerOptions } from "httpxy";
import type { PortTarget } from "../../domain/sandboxUrl.ts";
import type { Berthd } from "../../pod/fileBytes.ts";
import { type Client, toClient, toProgram } from "./headers.ts";
import { faultOf, portHeader, sessionTokenHeader, unreachable } from "./programAnswer.ts";

/** Milliseconds for which a program may send nothing of its answer, and a client nothing of its request. */
export const silenceMs = 300_000;

/** Milliseconds in which a program must take a WebSocket. */
const upgradeMs = 30_000;

/** Milliseconds that a client has to close its side of a WebSocket whose other side has ended. */
const lingerMs = 2_000;

/** A request that was let in. */
export interface Passage {
  target: PortTarget;
  berthd: Berthd;
  client: Omit<Client, "prefix">;
}

export class Forwarder {
  readonly #proxy: ProxyServer = createProxyServer();
  readonly #passages = new WeakMap<IncomingMessage, Passage & { refuse: (error: unknown) => void }>();

  constructor() {
    this.#proxy.on("proxyRes", (answer, request, response) =>
      this.#answer(answer, request, response as ServerResponse),
    );
    this.#proxy.on("proxyReqWs", (sent, request, socket) => {
      const { target, refuse } = this.#passageOf(request);
      let isAnswered = false;
      sent.prependListener("response", (answer) => {
        isAnswered = true;
        const fault = faultOf(answer, target.port);
        if (fault !== undefined) answer.statusCode = fault.body.status;
        answer.headers = toClient(answer.headersDistinct, target.prefix) as typeof answer.headers;
      });
      sent.prependListener("upgrade", (answer, upstream) => {
        isAnswered = true;
        const headers = toClient(answer.headersDistinct, target.prefix) as typeof answer.headers;
        answer.headers = { ...headers, connection: "Upgrade", upgrade: "websocket" };
        closeTogether(socket, upstream as Socket);
      });
      sent.prependListener("error", () => {
        if (!isAnswered) refuse(unreachable());
      });
    });
  }

  /** Resolves when the answer has ended. `refuse` is called with a Problem if there is none of a program. */
  async web(
    request: IncomingMessage,
    response: ServerResponse,
    passage: Passage,
    refuse: (error: unknown) => void,
  ): Promise<void> {
    const options = this.#prepare(request, passage, refuse);
    await this.#proxy
      .web(request, response, { ...options, selfHandleResponse: true, proxyTimeout: silenceMs })
      .catch(() => refuse(unreachable()));
  }

  /** Resolves when the WebSocket has ended, or there is none. */
  async webSocket(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    passage: Passage,
    refuse: (error: unknown) => void,
  ): Promise<void> {
    const options = this.#prepare(request, passage, refuse, true);
    await this.#proxy.ws(request, socket, { ...options, upgradeTimeout: upgradeMs }, head).catch(() => {});
  }

  #prepare(
    request: IncomingMessage,
    passage: Passage,
    refuse: (error: unknown) => void,
    isWebSocket = false,
  ): ProxyServerOptions {
    const { target, berthd, client } = passage;
    this.#passages.set(request, { ...passage, refuse });
    request.headers = toProgram(request.headers, { ...client, prefix: target.prefix }, isWebSocket);
    request.url = target.path;
    return {
      target: berthd.origin,
      agent: berthd.agent,
      headers: { [portHeader]: String(target.port), [sessionTokenHeader]: berthd.token },
    };
  }

  #passageOf(request: IncomingMessage) {
    const passage = this.#passages.get(request);
    if (passage === undefined) throw new Error("a request that was not prepared");
    return passage;
  }

  #answer(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse): void {
    const { target, refuse } = this.#passageOf(request);
    const fault = faultOf(answer, target.port);
    if (fault !== undefined) {
      answer.resume();
      refuse(fault);
      return;
    }
    try {
      const headers = toClient(answer.headersDistinct, target.prefix);
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      answer.pipe(response);
    } catch {
      answer.destroy();
      refuse(unreachable()); // a status or header that HTTP doesn't have
    }
  }
}

/** Each side of a WebSocket ends when the other does; pipes end with the other's end only, and not when it breaks. */
function closeTogether(client: Socket, upstream: Socket): void {
  client.once("close", () => upstream.destroy());
  upstream.once("close", () => {
    client.end();
    setTimeout(() => client.destroy(), lingerMs).unref();
  });
}
