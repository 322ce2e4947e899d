/**
 * Serves the WebSockets of a session: GET /v1/sessions/:id/<name>, or a longer path such as /v1/sessions/:id/processes/1/attach.
 * A client that may not connect gets a Problem over HTTP before the upgrade. A browser does not show this answer to the page's
 * script. The script can learn the reason by other API calls, except for a 429. So a browser gets no 429: its WebSocket is opened
 * and closed with `tooMuchCode`.
 *
 * The Origin header only shows that a client is a browser. Its value is not checked, because a page of another origin has
 * no key and no ticket.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import type { Credential } from "../api/access/credential.ts";
import type { Revocations } from "../api/access/revocations.ts";
import { Problem, type ProblemBody, problemOf, retryAfterOf } from "../api/http/problem.ts";
import { type ConnectionInfo, closedReason, type OpenConnections } from "../queue/openConnections.ts";
import { redact } from "../telemetry/redact.ts";
import { tracing } from "../telemetry/tracing.ts";
import { closeWith } from "./bridge.ts";
import type { Limit, Places } from "./places.ts";

/** The data of an upgrade request that a SessionSocket needs. */
export interface UpgradeRequest {
  sessionId: string;
  /** The part of the path that names an object of the session, e.g. the id of a process. */
  subId?: string | undefined;
  query: URLSearchParams;
  authorization: string | undefined;
  address: string | undefined;
}

/** A client that may connect if the limits allow it. */
export interface Admitted {
  /** The limits that count this connection. */
  limits: Limit[];
  /**
   * The client may stay connected while this credential is valid. If `loss` is given, `loss` must also return undefined; a
   * text from `loss` is the reason for closing.
   */
  credential: Credential;
  /** The ticket's id, if the client used a ticket that can be revoked. Revoking the ticket ends the connection. */
  grant?: string | undefined;
  /** What the list of the session's open connections shows of this connection. Undefined: the connection is not in the list. */
  info?: ConnectionInfo;
  loss?: () => string | undefined;
  /**
   * Called when all limits have counted the connection and none has refused it. Returns the function that serves the
   * client after the upgrade. Throws a Problem. `gone` is aborted when the client has disconnected, even before the upgrade.
   */
  open: (gone: AbortSignal) => Promise<(client: WebSocket) => void>;
}

/** One kind of WebSocket of a session. */
export interface SessionSocket {
  /** The path behind the session's id, e.g. `desktop`, or `processes/attach` for processes/<id>/attach. */
  name: string;
  /** The subprotocols, the preferred one first. If a client offers none of them, the WebSocket has no subprotocol. */
  protocols: readonly string[];
  /** Throws a Problem if the client may not connect. */
  admit: (request: UpgradeRequest) => Promise<Admitted>;
}

export interface WebSocketsOptions {
  sessionSockets: SessionSocket[];
  /** The client's address, found through the trusted proxies. */
  addressOf: (request: IncomingMessage) => string | undefined;
  places: Pick<Places, "take">;
  revocations: Pick<Revocations, "watch">;
  connections: Pick<OpenConnections, "add">;
  logger: Logger;
}

/** The close code when this process is shutting down: the client should connect again. */
export const restartCode = 1012;

/** The close code when the client has lost its permission, for example because its key was removed. */
export const lostCode = 4401;

/** The close code when the gateway can't reach the session's pod, or has lost its connection to the pod. */
export const lostPodCode = 4502;

/** The close code when the client sends too much or makes too many calls, or when too many connections are open. */
export const tooMuchCode = 4429;

/** The close code when a user has closed the connection through the API. */
export const closedCode = 4403;

/** How long to wait for the client's answer to the close, in milliseconds, before the connection is cut. */
const lostPatienceMs = 1_000;

/** How many milliseconds a client may keep its side of a connection open after the server has ended its own side. */
const endedPatienceMs = 2_000;

interface Served {
  sessionSocket: SessionSocket;
  server: WebSocketServer;
}

export class WebSockets implements BeforeApplicationShutdown {
  /** By the names of the SessionSockets. */
  readonly #served: Map<string, Served>;
  #ending = false;

  constructor(private readonly options: WebSocketsOptions) {
    this.#served = new Map(
      options.sessionSockets.map((one) => [one.name, { sessionSocket: one, server: serverFor(one.protocols) }]),
    );
  }

  /** Handles the `upgrade` event of an HTTP server. Never throws. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    closeInTime(socket);
    const target = targetOf(request.url ?? "");
    const found = this.#served.get(target.name);
    const trace = tracing().request(`WebSocket ${found?.sessionSocket.name ?? "none"}`, request.headers);
    const open = () => this.#open(request, socket, head, target, found);
    const status = trace === undefined ? await open() : await trace.within(open);
    trace?.end({
      "http.request.method": "GET",
      "http.response.status_code": status,
      ...(isUuid(target.id ?? "") && { "berth.session": target.id ?? "" }),
    });
  }

  /** Answers the upgrade request. Returns the status of the answer. */
  async #open(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { id, subId }: WebSocketTarget,
    found: Served | undefined,
  ): Promise<number> {
    try {
      if (id === undefined || found === undefined || !isUuid(id)) throw new Problem(404, "There is no WebSocket here.");
      const admitted = await found.sessionSocket.admit({
        sessionId: id.toLowerCase(),
        subId,
        query: new URL(request.url ?? "", "http://api").searchParams,
        authorization: request.headers.authorization,
        address: this.options.addressOf(request),
      });
      const release = await this.options.places.take(admitted.limits);
      socket.once("close", release);
      try {
        const gone = new AbortController();
        socket.once("close", () => gone.abort());
        const serve = await admitted.open(gone.signal);
        if (this.#ending) throw new Problem(503, "Berth restarts; connect again.");
        if (socket.destroyed) release();
        else
          found.server.handleUpgrade(request, socket, head, (client) => {
            client.on("error", () => client.terminate());
            this.#watch(client, id.toLowerCase(), admitted);
            serve(client);
          });
        return 101;
      } catch (error) {
        release();
        throw error;
      }
    } catch (error) {
      const problem = problemOf(error, this.options.logger, "WebSocket upgrade failed");
      // The refusal is logged, so that somebody who guesses keys is noticed here as in the rest of the API.
      const { status, detail } = problem;
      const address = this.options.addressOf(request);
      this.options.logger.info(
        { url: redact(request.url ?? "").slice(0, 2_048), status, detail, address },
        "WebSocket refused",
      );
      if (problem.status === 429 && request.headers.origin !== undefined && found !== undefined) {
        found.server.handleUpgrade(request, socket, head, (client) => {
          client.on("error", () => client.terminate());
          sendAway(client, tooMuchCode, problem.detail);
        });
      } else refuse(socket, error, problem);
      return status;
    }
  }

  /** The number of open WebSockets. */
  get size(): number {
    return [...this.#served.values()].reduce((sum, { server }) => sum + server.clients.size, 0);
  }

  /** Closes every WebSocket with the code 1012, and after 2 s cuts those that their clients have not closed. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#ending = true;
    const clients = () => [...this.#served.values()].flatMap(({ server }) => [...server.clients]);
    for (const client of clients()) closeWith(client, restartCode, "Berth restarts; connect again.");
    const deadline = performance.now() + 2_000;
    while (clients().length > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    for (const client of clients()) client.terminate();
  }

  /** Disconnects the client when the client's permission ends, or when a user closes this connection through the API. */
  #watch(client: WebSocket, sessionId: string, admitted: Admitted): void {
    const { revocations, connections } = this.options;
    const end = (why: string) => sendAway(client, lostCode, why);
    client.once("close", revocations.watch(admitted, end, admitted.loss));
    if (admitted.info === undefined) return;
    const close = () => sendAway(client, closedCode, closedReason);
    client.once("close", connections.add(sessionId, admitted.info, close));
  }
}

interface WebSocketTarget {
  id?: string | undefined;
  subId?: string | undefined;
  name: string;
}

/** The session's id and the SessionSocket's name in the path; the name is empty if the path is not that of a WebSocket. */
function targetOf(url: string): WebSocketTarget {
  const path = /^\/v1\/sessions\/([^/?]+)\/([a-z]+)(?:\/([^/?]+)\/([a-z]+))?(?:\?|$)/;
  const [, id, first = "", subId, last] = path.exec(url) ?? [];
  return { id, subId, name: last === undefined ? first : `${first}/${last}` };
}

/** Accepts any version of UUID. Whether the session exists is checked later. */
const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

function serverFor(protocols: readonly string[]): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false, // VNC compresses its data itself, and a terminal sends little
    maxPayload: 16 * 1024 * 1024,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
}

/** Closes the connection with a code and a reason, and cuts it if the client does not answer soon. */
function sendAway(client: WebSocket, code: number, why: string): void {
  closeWith(client, code, why);
  setTimeout(() => client.terminate(), lostPatienceMs).unref();
}

/**
 * Closes the socket of an upgrade request at an error, and 2 s after the server has ended its side. Otherwise a client that
 * never ends its own side, for example after a refusal, would occupy the connection and its places (places.ts).
 */
export function closeInTime(socket: Duplex): void {
  socket.on("error", () => socket.destroy());
  socket.once("finish", () => setTimeout(() => socket.destroy(), endedPatienceMs).unref());
}

/** Answers the upgrade request with a Problem over HTTP and ends the connection. */
export function refuse(socket: Duplex, error: unknown, problem: ProblemBody): void {
  const body = JSON.stringify(problem);
  const retryAfter = retryAfterOf(error, problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      "content-type: application/problem+json\r\n" +
      `content-length: ${Buffer.byteLength(body)}\r\n` +
      (problem.status === 401 ? "www-authenticate: Bearer\r\n" : "") +
      (retryAfter !== undefined ? `retry-after: ${retryAfter}\r\n` : "") +
      `connection: close\r\n\r\n${body}`,
  );
}
