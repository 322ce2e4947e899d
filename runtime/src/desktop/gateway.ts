/**
 * The desktop by WebSocket: GET /v1/sessions/:id/desktop, with `?ticket=` or an `Authorization: Bearer` key.
 *
 * Who may not is told by HTTP (401, 404) before the upgrade. What keeps the desktop away after that is told by the close
 * code, for a browser can see nothing else: see `closeCodes`. The Origin header proves nothing and isn't looked at; a page
 * elsewhere has neither key nor ticket.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { WebSocket, WebSocketServer } from "ws";
import { bearer } from "../api/caller.ts";
import { type ProblemBody, problemBody } from "../api/problem.ts";
import { isDatabaseUnavailable } from "../database/database.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { desktopPort } from "../pods/podSpec.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionStore } from "../sessions/sessionStore.ts";
import { finalStates } from "../sessions/state.ts";
import type { TenantsFile } from "../tenants/tenantsFile.ts";
import { closeWith, keepAlive, pump } from "./bridge.ts";
import type { Tickets } from "./tickets.ts";

export const closeCodes = {
  /** This API process ends: connect again. */
  restart: 1012,
  /** The session isn't running yet: wait for it. */
  notRunning: 4409,
  /** The session is over. */
  ended: 4410,
  /** The session runs, but its desktop can't be reached: try again. */
  unreachable: 4502,
} as const;

export interface GatewayOptions {
  store: Pick<SessionStore, "find">;
  tenants: Pick<TenantsFile, "get" | "findKeyHolder">;
  tickets: Pick<Tickets, "verify">;
  proxyToken: (sessionId: string) => string;
  metrics: Pick<Metrics, "desktops">;
  logger: Logger;
  /** Port of vnc-proxy in the pod. Default 6080. */
  port?: number;
}

export class DesktopGateway implements BeforeApplicationShutdown {
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false, // VNC compresses by itself
    maxPayload: 16 * 1024 * 1024,
    handleProtocols: (offered) => (offered.has("binary") ? "binary" : false),
  });

  #ending = false;

  constructor(private readonly options: GatewayOptions) {}

  /** Takes an HTTP server's upgrade event. Never throws. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      const admitted = await this.#admit(request);
      if ("status" in admitted) return refuse(socket, admitted);
      if (socket.destroyed) return;
      if (this.#ending) return refuse(socket, problemBody(503, "The API restarts; connect again."));
      this.#server.handleUpgrade(request, socket, head, (client) => void this.#serve(client, admitted));
    } catch (error) {
      if (isDatabaseUnavailable(error)) {
        return refuse(socket, problemBody(503, "The database can't be reached at the moment. Please try again."));
      }
      this.options.logger.error({ err: error }, "desktop upgrade failed");
      refuse(socket, problemBody(500, "Something went wrong on our side."));
    }
  }

  /** Tells every desktop to connect again, elsewhere, and ends those that don't listen. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#ending = true;
    for (const client of this.#server.clients)
      closeWith(client, closeCodes.restart, "The API restarts; connect again.");
    const deadline = performance.now() + 2_000;
    while (this.#server.clients.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const client of this.#server.clients) client.terminate();
  }

  /** The session whose desktop the request may see, or the answer that it may not. */
  async #admit(request: IncomingMessage): Promise<Session | ProblemBody> {
    const url = URL.parse(request.url ?? "", "http://api");
    const id = /^\/v1\/sessions\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/desktop$/i
      .exec(url?.pathname ?? "")?.[1]
      ?.toLowerCase();
    if (url === null || id === undefined) return problemBody(404, "There is no WebSocket here.");
    const tenant = await this.#tenantOf(id, url.searchParams.get("ticket"), request.headers.authorization);
    if (tenant === undefined) return problemBody(401, "A valid desktop ticket or key is needed.");
    return (await this.options.store.find(id, tenant)) ?? problemBody(404, `There is no session ${id}.`);
  }

  async #tenantOf(
    id: string,
    ticketText: string | null,
    authorization: string | undefined,
  ): Promise<string | undefined> {
    const { tenants, tickets } = this.options;
    if (ticketText !== null) {
      const ticket = await tickets.verify(ticketText);
      return ticket?.sessionId === id ? tenants.get(ticket.tenant)?.name : undefined;
    }
    const holder = tenants.findKeyHolder(bearer(authorization) ?? "");
    return holder?.role === "tenant" && !holder.expired ? holder.tenant.name : undefined;
  }

  async #serve(client: WebSocket, session: Session): Promise<void> {
    client.on("error", () => client.terminate());
    if (session.state !== "running" || session.podIp === null) return sayState(client, session);

    const { logger, metrics, port = desktopPort, proxyToken } = this.options;
    const log = logger.child({ sessionId: session.id, tenant: session.tenant });
    const address = `ws://${session.podIp}:${port}/websockify?token=${proxyToken(session.id)}`;
    const upstream = new WebSocket(address, ["binary"], {
      perMessageDeflate: false,
      handshakeTimeout: 5_000,
      maxPayload: 16 * 1024 * 1024,
    });
    let problem: Error | undefined;
    upstream.on("error", (error) => {
      problem = error;
      upstream.terminate();
    });

    client.pause(); // until there is somebody to send to
    upstream.on("open", () => {
      pump(client, upstream);
      pump(upstream, client);
      keepAlive(client);
      keepAlive(upstream);
      client.resume();
    });

    metrics.desktops.inc();
    log.info("desktop connected");
    client.on("close", (code) => {
      metrics.desktops.dec();
      log.info({ code }, "desktop disconnected");
      if (upstream.readyState === WebSocket.CONNECTING) upstream.terminate();
      else upstream.close();
    });
    upstream.on("close", () => {
      if (client.readyState !== WebSocket.OPEN) return;
      if (problem !== undefined) log.warn({ err: problem.message }, "desktop can't be reached");
      this.#sayWhy(client, session).catch((error: unknown) => {
        log.warn({ err: error }, "the session's state can't be read");
        closeWith(client, closeCodes.unreachable, "The desktop can't be reached at the moment.");
      });
    });
  }

  /** The desktop went away, or never came: because the session did, or else for a moment. */
  async #sayWhy(client: WebSocket, session: Session): Promise<void> {
    const now = await this.options.store.find(session.id, session.tenant);
    if (now !== undefined && now.state !== "running") return sayState(client, now);
    closeWith(client, closeCodes.unreachable, "The session runs, but its desktop can't be reached at the moment.");
  }
}

function sayState(client: WebSocket, { state, reason }: Session): void {
  const over = state === "stopping" || finalStates.some((final) => final === state);
  closeWith(
    client,
    over ? closeCodes.ended : closeCodes.notRunning,
    `The session is ${state}${reason ? `: ${reason}` : "."}`,
  );
}

/** Answers the upgrade by HTTP and ends the connection. */
function refuse(socket: Duplex, problem: ProblemBody): void {
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      "content-type: application/problem+json\r\n" +
      `content-length: ${Buffer.byteLength(body)}\r\n` +
      (problem.status === 401 ? "www-authenticate: Bearer\r\n" : "") +
      `connection: close\r\n\r\n${body}`,
  );
}
