/**
 * The ports of sessions, by HTTP and WebSocket, on a server of their own: what an agent serves shares no origin with the API.
 * docs/ports.md says what users see of it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import type { Logger } from "pino";
import type { Revocations } from "../../api/access/revocations.ts";
import { Problem, problemBody, retryAfterOf } from "../../api/http/problem.ts";
import { capConnections, idleOptions, maxConnections } from "../../api/http/sockets.ts";
import type { SessionPods } from "../../api/sessionPods.ts";
import type { PortTarget, SandboxUrl } from "../../domain/sandboxUrl.ts";
import type { Activity } from "../../store/activity.ts";
import { isDatabaseUnavailable } from "../../store/database.ts";
import type { SessionQueries } from "../../store/sessionQueries.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { redact } from "../../telemetry/redact.ts";
import { tracing } from "../../telemetry/tracing.ts";
import type { Places } from "../places.ts";
import { perSession, perTenant } from "../socketLimits.ts";
import { refuse } from "../webSockets.ts";
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
  queries: Pick<SessionQueries, "find">;
  activity: Pick<Activity, "touch">;
  revocations: Pick<Revocations, "watch">;
  places: Pick<Places, "take">;
  metrics: Pick<Metrics, "httpRequests">;
  /** The address of who is behind the request, past the proxies that are believed. */
  addressOf: (request: IncomingMessage) => string | undefined;
  logger: Logger;
  bounds?: Bounds;
}

/** How long requests may take to end when the process does, in milliseconds. */
const drainMs = 5_000;

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
        requestTimeout: 0, // uploads take as long as something comes
        keepAliveTimeout: 72_000, // longer than proxies keep theirs
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

  /** Ends the WebSockets, whose clients come again, elsewhere, and asks the others to let go of their connections. */
  end(): void {
    this.#isEnding = true;
    for (const socket of this.#webSockets) socket.destroy();
    this.server.closeIdleConnections();
  }

  /** Closes the port. Requests that take too long are cut off. */
  async close(): Promise<void> {
    this.end();
    const timer = setTimeout(() => this.server.closeAllConnections(), drainMs);
    await promisify(this.server.close.bind(this.server))().catch(() => {}); // it does not listen
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
      if (target === undefined) throw new Problem(404, "No port of a session has this address.");
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
      response.once("close", this.#watch(entrant, response));
      await this.#forwarder.web(request, response, passage, say);
    } catch (error) {
      say(error);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
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
      if (target === undefined || isOurs(target.path)) throw new Problem(404, "No port of a session has this address.");
      if (method !== "GET") throw new Problem(400, "A WebSocket must be asked for by GET.");
      const entrant = await this.options.access.admit(target, { method, headers, address });
      const { tenant } = entrant.caller;
      const passage = await this.#passage(target, entrant, request, address);
      (await this.#bounds.take(tenant.name, target.sessionId))(); // it counts for the rate only
      const release = await this.options.places.take([perSession(target.sessionId, "port"), perTenant(tenant)]);
      socket.once("close", release);
      if (socket.destroyed) return release();
      if (this.#isEnding) throw new Problem(503, "The API restarts; connect again.");
      this.#webSockets.add(socket);
      socket.once("close", () => this.#webSockets.delete(socket));
      socket.once("close", this.#watch(entrant, socket));
      await this.#forwarder.webSocket(request, socket, head, passage, say);
    } catch (error) {
      say(error);
    }
  }

  /** The way to the program, of a session that runs; the session is used by it. */
  async #passage(
    target: PortTarget,
    { caller }: Entrant,
    { headers }: IncomingMessage,
    address: string | undefined,
  ): Promise<Passage> {
    const session = await this.#sessions.get(caller.tenant.name, target.sessionId);
    this.options.activity.touch(target.sessionId);
    const protocol = this.options.url.isSecure ? "https" : "http";
    return {
      target,
      berthd: this.options.pods.services.berthd(session),
      client: { address, host: headers.host ?? "", protocol },
    };
  }

  /** Cuts off what goes on once its caller may not any more. Returns what stops the watching. */
  #watch({ caller, loss }: Entrant, connection: { destroy: () => unknown }): () => void {
    return this.options.revocations.watch({ credential: caller.credential }, () => connection.destroy(), loss);
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
    if (response.writableEnded) return; // it was said already
    if (response.headersSent || response.destroyed) return void response.destroy();
    const { body, retryAfter } = this.#problemOf(error);
    this.#logRefusal(url, request.headers.host, body.status, body.detail, address);
    const { headers, body: text } = said(body, accept, retryAfter);
    // Whoever may not holds no connection, and of a body that nobody wants the rest is not read.
    const isLast = body.status < 500 || !request.complete;
    response.writeHead(body.status, { ...headers, ...(isLast && { connection: "close" }) });
    response.end(request.method === "HEAD" ? undefined : text);
  }

  #problemOf(error: unknown) {
    const problem =
      error instanceof Problem
        ? error
        : isDatabaseUnavailable(error)
          ? new Problem(503, "The database can't be reached at the moment. Please try again.")
          : undefined;
    if (problem === undefined) this.options.logger.error({ err: error }, "a request to a port failed");
    const body = problem?.body ?? problemBody(500, "Something went wrong on our side.");
    return { body, retryAfter: retryAfterOf(error, body) };
  }

  /** Who guesses keys here is seen as at any other address. */
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
