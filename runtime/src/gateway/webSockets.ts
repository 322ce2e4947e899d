/**
 * The WebSockets of a session, GET /v1/sessions/:id/<name> and below: who may not is told by HTTP before the upgrade, as a problem. A
 * browser does not show that to its page, so of a 429, which no other call of the page tells of, it is told by `tooMuchCode`.
 * For the rest the Origin header, which browsers send, proves nothing; a page elsewhere has neither key nor ticket.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { type WebSocket, WebSocketServer } from "ws";
import type { Credential } from "../api/access/credential.ts";
import type { Revocations } from "../api/access/revocations.ts";
import { Problem, type ProblemBody, problemBody, retryAfterOf } from "../api/http/problem.ts";
import type { ConnectionInfo, OpenConnections } from "../queue/openConnections.ts";
import { isDatabaseUnavailable } from "../store/database.ts";
import { redact } from "../telemetry/redact.ts";
import { closeWith } from "./bridge.ts";
import type { Limit, Places } from "./places.ts";

/** The upgrade as a gateway sees it. */
export interface UpgradeRequest {
  sessionId: string;
  /** The part of the path that says which of the session's things is meant, e.g. the id of a process. */
  part?: string | undefined;
  query: URLSearchParams;
  authorization: string | undefined;
  address: string | undefined;
}

/** A client that may come in, if there is a place for it. */
export interface Admitted {
  /** Of whose places it takes one each. */
  limits: Limit[];
  /** It may stay for as long as this is good, and `loss` says nothing against it. */
  credential: Credential;
  /** The ticket's id, if it came by one that can be revoked: it goes with that. */
  grant?: string | undefined;
  /** What the list of the session's open connections tells of it. Undefined: it is not in the list. */
  info?: ConnectionInfo;
  loss?: () => string | undefined;
  /**
   * Called once it has its place; returns what to do with the client once it is connected. Throws a Problem. The signal comes
   * when the client has gone, which it may have before it is connected.
   */
  open: (gone: AbortSignal) => Promise<(client: WebSocket) => void>;
}

/** One kind of WebSocket. */
export interface Gateway {
  /** The parts of its path behind the session's id, e.g. `desktop`, or `processes/attach` with a part in between. */
  name: string;
  /** The subprotocols it speaks, of which the client may offer one or none. */
  protocols: readonly string[];
  /** Throws a Problem if the client may not come in. */
  admit: (request: UpgradeRequest) => Promise<Admitted>;
}

export interface WebSocketsOptions {
  gateways: Gateway[];
  /** The address of who is behind the request, past the proxies that are believed. */
  addressOf: (request: IncomingMessage) => string | undefined;
  places: Pick<Places, "take">;
  revocations: Pick<Revocations, "watch">;
  connections: Pick<OpenConnections, "add">;
  logger: Logger;
}

/** The close code by which clients are told that this process ends: connect again. */
export const restartCode = 1012;

/** The close code by which clients are told that they may not stay: their key or link has expired or was removed. */
export const lostCode = 4401;

/** The close code by which clients are told that they do too much, or that too many are there. */
export const tooMuchCode = 4429;

/** The close code by which clients are told that somebody has closed their connection by the API. */
export const closedCode = 4403;

/** A client that may not stay and doesn't answer the close is cut off after so long, in milliseconds. */
const lostPatienceMs = 1_000;

export class WebSockets implements BeforeApplicationShutdown {
  readonly #gateways: Map<string, { gateway: Gateway; server: WebSocketServer }>;
  #ending = false;

  constructor(private readonly options: WebSocketsOptions) {
    this.#gateways = new Map(
      options.gateways.map((gateway) => [gateway.name, { gateway, server: serverFor(gateway.protocols) }]),
    );
  }

  /** Takes an HTTP server's upgrade event. Never throws. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const { id, part, name } = placeOf(request.url ?? "");
    const found = this.#gateways.get(name);
    try {
      if (id === undefined || found === undefined || !isUuid(id)) throw new Problem(404, "There is no WebSocket here.");
      const admitted = await found.gateway.admit({
        sessionId: id.toLowerCase(),
        part,
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
        if (this.#ending) throw new Problem(503, "The API restarts; connect again.");
        if (socket.destroyed) return release();
        found.server.handleUpgrade(request, socket, head, (client) => {
          client.on("error", () => client.terminate());
          this.#watch(client, id.toLowerCase(), admitted);
          serve(client);
        });
      } catch (error) {
        release();
        throw error;
      }
    } catch (error) {
      const problem = this.#problemOf(error);
      // Who guesses keys here is seen as at any other address.
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
    }
  }

  /** How many there are. */
  get size(): number {
    return [...this.#gateways.values()].reduce((sum, { server }) => sum + server.clients.size, 0);
  }

  /** Tells every client to connect again, elsewhere, and ends those that don't listen. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#ending = true;
    const clients = () => [...this.#gateways.values()].flatMap(({ server }) => [...server.clients]);
    for (const client of clients()) closeWith(client, restartCode, "The API restarts; connect again.");
    const deadline = performance.now() + 2_000;
    while (clients().length > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    for (const client of clients()) client.terminate();
  }

  /** Sends the client away once it may not stay, or somebody closes its connection. */
  #watch(client: WebSocket, sessionId: string, admitted: Admitted): void {
    const { revocations, connections } = this.options;
    const end = (why: string) => sendAway(client, lostCode, why);
    client.once("close", revocations.watch(admitted, end, admitted.loss));
    if (admitted.info === undefined) return;
    const close = () => sendAway(client, closedCode, "Somebody has closed this connection by the API.");
    client.once("close", connections.add(sessionId, admitted.info, close));
  }

  #problemOf(error: unknown): ProblemBody {
    if (error instanceof Problem) return error.body;
    if (isDatabaseUnavailable(error)) {
      return problemBody(503, "The database can't be reached at the moment. Please try again.");
    }
    this.options.logger.error({ err: error }, "WebSocket upgrade failed");
    return problemBody(500, "Something went wrong on our side.");
  }
}

/** Which session's WebSocket the address is of; an empty name if it is of none. */
function placeOf(url: string): { id?: string | undefined; part?: string | undefined; name: string } {
  const path = /^\/v1\/sessions\/([^/?]+)\/([a-z]+)(?:\/([^/?]+)\/([a-z]+))?(?:\?|$)/;
  const [, id, first = "", part, last] = path.exec(url) ?? [];
  return { id, part, name: last === undefined ? first : `${first}/${last}` };
}

/** Any version of UUID: whether there is such a session is another question. */
const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

function serverFor(protocols: readonly string[]): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false, // VNC compresses by itself, and a terminal has little to say
    maxPayload: 16 * 1024 * 1024,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
}

/** Closes with a code and words for people, and soon without them. */
function sendAway(client: WebSocket, code: number, why: string): void {
  closeWith(client, code, why);
  setTimeout(() => client.terminate(), lostPatienceMs).unref();
}

/** Answers the upgrade by HTTP and ends the connection. */
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
