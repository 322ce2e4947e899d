/**
 * Forwards requests and WebSockets to berthd in the session's pod, and the answers back, no faster than either side
 * reads.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { createProxyServer, type ProxyServer, type ProxyServerOptions } from "httpxy";
import type { Berthd } from "../../berthd/requests.ts";
import type { PortTarget } from "../../domain/sandboxUrl.ts";
import { PassedOn } from "../passedOn.ts";
import { type Client, toClient, toProgram } from "./headers.ts";
import { faultOf, portHeader, sessionTokenHeader, unreachable } from "./programAnswer.ts";

/**
 * For how many milliseconds a program may send nothing before its answer or within it, and a client may send nothing within
 * its request.
 */
export const silenceMs = 300_000;

/** How many milliseconds a program has to accept a WebSocket. */
const upgradeMs = 30_000;

/** What the forwarder needs to know to forward an authorized request. */
export interface Passage {
  target: PortTarget;
  berthd: Berthd;
  client: Omit<Client, "prefix">;
}

export class Forwarder {
  readonly #proxy: ProxyServer = createProxyServer();
  readonly #passages = new WeakMap<IncomingMessage, Passage & { refuse: (error: unknown) => void }>();
  /** Key: the socket to the program. Value: the client's socket. */
  readonly #clients = new WeakMap<Socket, Socket>();
  /** Key: the client's socket. Value: what forwards the socket's frames. */
  readonly #webSockets = new WeakMap<Socket, PassedOn>();

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
        this.#clients.set(upstream as Socket, socket);
      });
      sent.prependListener("error", (error) => {
        if (!isAnswered) refuse(unreachable(error));
      });
    });
    // The proxy has connected the two sockets by pipes. Pipes can't end with a Close frame, so a PassedOn replaces them.
    this.#proxy.on("open", (upstream) => {
      const client = this.#clients.get(upstream);
      if (client === undefined) return;
      upstream.unpipe(client);
      client.unpipe(upstream);
      this.#webSockets.set(client, new PassedOn(client, upstream));
    });
  }

  /** Resolves when the answer has ended. If the program gives no answer, calls `refuse` with a Problem. */
  async web(
    request: IncomingMessage,
    response: ServerResponse,
    passage: Passage,
    refuse: (error: unknown) => void,
  ): Promise<void> {
    const options = this.#prepare(request, passage, refuse);
    await this.#proxy
      .web(request, response, { ...options, selfHandleResponse: true, proxyTimeout: silenceMs })
      .catch((error: unknown) => refuse(unreachable(error)));
  }

  /** Resolves when the WebSocket has ended or could not be opened. */
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

  /**
   * Closes the client's WebSocket with this code. If the program has not accepted the WebSocket yet, cuts the client's connection
   * without a code.
   */
  sendAway(socket: Socket, code: number, why: string): void {
    const webSocket = this.#webSockets.get(socket);
    if (webSocket === undefined) socket.destroy();
    else webSocket.sendAway(code, why);
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
      target: `http://${isIPv6(berthd.host) ? `[${berthd.host}]` : berthd.host}:${berthd.port}`,
      agent: berthd.agent,
      headers: { [portHeader]: String(target.port), [sessionTokenHeader]: berthd.token },
    };
  }

  #passageOf(request: IncomingMessage) {
    const passage = this.#passages.get(request);
    if (passage === undefined) throw new Error("#prepare was not called for this request");
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
    } catch (error) {
      answer.destroy();
      refuse(unreachable(error)); // a status or header that is not valid HTTP
    }
  }
}
