/**
 * Serves the ports of sessions over HTTP and WebSocket. The ports have their own HTTP server, so that an agent's pages have
 * another origin than the API. docs/ports.md describes what users see.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import type { Logger } from "pino";
import type { Revocations } from "../../api/access/revocations.ts";
import { Problem, problemOf, retryAfterOf } from "../../api/http/problem.ts";
import { capConnections, idleOptions, maxConnections } from "../../api/http/sockets.ts";
import type { Reads } from "../../api/reads.ts";
import type { SessionPods } from "../../api/sessionPods.ts";
import type { PortTarget, SandboxUrl } from "../../domain/sandboxUrl.ts";
import { closedReason, connectionOf, type OpenConnections } from "../../queue/openConnections.ts";
import type { Activity } from "../../store/activity.ts";
import type { SessionQueries } from "../../store/sessionQueries.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { redact } from "../../telemetry/redact.ts";
import { tracing } from "../../telemetry/tracing.ts";
import type { Places } from "../places.ts";
import { perSession, perTenant } from "../socketLimits.ts";
import { closedCode, closeInTime, lostCode, refuse, restartCode } from "../webSockets.ts";
import { Bounds } from "./bounds.ts";
import { Forwarder, type Passage, silenceMs } from "./forwarder.ts";
import { said } from "./page.ts";
import type { Entrant, PortAccess } from "./portAccess.ts";
import { isOurs, type PortLinks } from "./portLinks.ts";
import { RunningSessions } from "./runningSessions.ts";

export interface PortGatewayOptions {
  url: SandboxUrl;
  access: PortAccess;
  links: PortLinks;
  pods: Pick<SessionPods, "services">;
  reads: Pick<Reads, "note">;
  queries: Pick<SessionQueries, "find">;
  activity: Pick<Activity, "touch">;
  revocations: Pick<Revocations, "watch">;
  places: Pick<Places, "take">;
  connections: Pick<OpenConnections, "add">;
  metrics: Pick<Metrics, "httpRequests">;
  /** The client's address, found through the trusted proxies. */
  addressOf: (request: IncomingMessage) => string | undefined;
  logger: Logger;
  bounds?: Bounds;
}

/** How many milliseconds open requests have to end after the server has begun to close. Then they are cut off. */
const drainMs = 5_000;

/** The refusal of a request whose host or path does not have the form of a port's address. */
const noPort = ({ form }: SandboxUrl) =>
  new Problem(404, `This is not the address of a session's port. Such an address has the form ${form}`);

export class PortGateway {
  readonly server: Server;
  readonly #forwarder = new Forwarder();
  readonly #sessions: RunningSessions;
  readonly #bounds: Bounds;
  readonly #webSockets = new Set<Socket>();
  #isEnding = false;

  constructor(private readonly options: PortGatewayOptions) {
    this.#sessions = new RunningSessions(options.queries);
    this.#bounds = options.bounds ?? new Bounds();
    this.server = createServer(
      {
        ...idleOptions(),
        requestTimeout: 0, // an upload may take any time as long as bytes arrive
        keepAliveTimeout: 72_000, // longer than proxies keep idle connections
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
      },
      (request, response) => void this.#serve(request, response),
    );
    this.server.setTimeout(silenceMs);
    capConnections(this.server, maxConnections);
    this.server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket as Socket, head));
  }

  async listen(port: number, host = "0.0.0.0"): Promise<void> {
    await once(this.server.listen(port, host), "listening");
  }

  /** The number of open WebSockets and HTTP requests. */
  get size(): number {
    return this.#webSockets.size + this.#bounds.size;
  }

  /** Closes idle connections, and closes the WebSockets with the code 1012. Resolves when the WebSockets have ended. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.server.closeIdleConnections();
    const sockets = [...this.#webSockets];
    for (const socket of sockets) this.#forwarder.sendAway(socket, restartCode, "The gateway restarts; connect again.");
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve))));
  }

  /** Closes the server. Cuts off requests that take too long. */
  async close(): Promise<void> {
    await this.end();
    const timer = setTimeout(() => this.server.closeAllConnections(), drainMs);
    await promisify(this.server.close.bind(this.server))().catch(() => {}); // the server may not be listening
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", headers } = request;
    const { accept } = headers;
    const url = request.url ?? "";
    const address = this.options.addressOf(request);
    const target = this.options.url.find(headers.host, url);
    const trace = tracing().request(`port ${method}`, headers);
    response.once("close", () => {
      const status = response.statusCode;
      this.options.metrics.httpRequests.inc({ method, route: "port", status });
      trace?.end({
        "http.request.method": method,
        "http.response.status_code": status,
        ...(target && { "berth.session": target.sessionId }),
      });
    });
    response.on("error", () => response.destroy());
    if (this.#isEnding) response.setHeader("connection", "close");
    const say = (error: unknown) => this.#say(error, { request, response, accept, url, address });
    try {
      if (target === undefined) throw noPort(this.options.url);
      if (isOurs(target.path)) {
        const answer = await this.options.links.open(target, { method, headers, address });
        response.writeHead(303, answer).end();
        return;
      }
      const entrant = await this.options.access.admit(target, { method, headers, address });
      const passage = await this.#passage(target, entrant, request, address);
      const release = await this.#bounds.take(entrant.caller.tenant.name, target.sessionId);
      response.once("close", release);
      if (response.destroyed) return release();
      response.once(
        "close",
        this.#watch(entrant, target, () => response.destroy()),
      );
      await this.#forwarder.web(request, response, passage, say);
    } catch (error) {
      say(error);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    closeInTime(socket);
    const { method = "", headers } = request;
    const url = request.url ?? "";
    const address = this.options.addressOf(request);
    const say = (error: unknown) => {
      const { body } = this.#problemOf(error);
      this.#logRefusal(url, headers.host, body.status, body.detail, address);
      if (!socket.writableEnded) refuse(socket, error, body);
    };
    try {
      const target = this.options.url.find(headers.host, url);
      if (target === undefined) throw noPort(this.options.url);
      if (isOurs(target.path)) throw new Problem(404, "Paths below /.berth/ belong to Berth and accept no WebSocket.");
      if (method !== "GET") throw new Problem(400, "A WebSocket must be opened by GET.");
      const entrant = await this.options.access.admit(target, { method, headers, address });
      const { tenant } = entrant.caller;
      const passage = await this.#passage(target, entrant, request, address);
      await this.#bounds.pass(tenant.name);
      const release = await this.options.places.take([perSession(target.sessionId, "port"), perTenant(tenant)]);
      socket.once("close", release);
      if (socket.destroyed) return release();
      if (this.#isEnding) throw new Problem(503, "The gateway restarts; connect again.");
      this.#webSockets.add(socket);
      socket.once("close", () => this.#webSockets.delete(socket));
      socket.once(
        "close",
        this.#watch(entrant, target, (code, why) => this.#forwarder.sendAway(socket, code, why)),
      );
      await this.#forwarder.webSocket(request, socket, head, passage, say);
    } catch (error) {
      say(error);
    }
  }

  /** Returns what the forwarder needs to reach the program of a running session, and records that the session is in use. */
  async #passage(
    target: PortTarget,
    { caller }: Entrant,
    { headers }: IncomingMessage,
    address: string | undefined,
  ): Promise<Passage> {
    const session = await this.#sessions.get(caller.tenant.name, target.sessionId);
    await this.options.reads.note(target.sessionId, caller, "port", `uses the port ${target.port}`);
    this.options.activity.touch(target.sessionId);
    const protocol = this.options.url.isSecure ? "https" : "http";
    return {
      target,
      berthd: this.options.pods.services.berthd(session),
      client: { address, host: headers.host ?? "", protocol },
    };
  }

  /**
   * Lists the connection, and calls `end` when the caller loses the permission or a user closes the connection through the
   * API. The returned function stops this; call it when the connection has ended.
   */
  #watch({ caller, loss }: Entrant, { sessionId, port }: PortTarget, end: (code: number, why: string) => void) {
    const { revocations, connections } = this.options;
    const unwatch = revocations.watch(caller, (why) => end(lostCode, why), loss);
    const info = connectionOf(caller.actor, "port", { port });
    const unlist = connections.add(sessionId, info, () => end(closedCode, closedReason));
    return () => {
      unwatch();
      unlist();
    };
  }

  #say(
    error: unknown,
    about: {
      request: IncomingMessage;
      response: ServerResponse;
      accept: string | undefined;
      url: string;
      address: string | undefined;
    },
  ): void {
    const { request, response, accept, url, address } = about;
    if (response.writableEnded) return; // an answer was sent already
    if (response.headersSent || response.destroyed) return void response.destroy();
    const { body, retryAfter } = this.#problemOf(error);
    this.#logRefusal(url, request.headers.host, body.status, body.detail, address);
    const { headers, body: text } = said(body, accept, retryAfter);
    // The connection ends with the answer if the request was refused, or if a part of the request's body was not read.
    const isLast = body.status < 500 || !request.complete;
    response.writeHead(body.status, { ...headers, ...(isLast && { connection: "close" }) });
    response.end(request.method === "HEAD" ? undefined : text);
  }

  #problemOf(error: unknown) {
    const body = problemOf(error, this.options.logger, "a request to a port failed");
    return { body, retryAfter: retryAfterOf(error, body) };
  }

  /** Refusals are logged, so that somebody who guesses keys is noticed here as in the API. */
  #logRefusal(
    url: string,
    host: string | undefined,
    status: number,
    detail: string,
    address: string | undefined,
  ): void {
    const fields = { url: redact(url).slice(0, 2_048), host: host?.slice(0, 300), status, detail, address };
    this.options.logger.info(fields, "request to a port refused");
  }
}
