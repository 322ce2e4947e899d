/**
 * Opens the port for WebSocket upgrades and the port of the in-pod channel. Also has the steps of a shutdown that come before
 * the ports are closed.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import type { Logger } from "pino";
import { connectionsLetGo } from "../api/http/http.ts";
import { problemBody } from "../api/http/problem.ts";
import { capConnections, idleOptions, maxConnections } from "../api/http/sockets.ts";
import { Streams } from "../api/http/streams.ts";
import { createChannel } from "../channel/channel.ts";
import { OwnerWait } from "../channel/ownerWait.ts";
import type { Config } from "../config/config.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import type { PortGateway } from "../gateway/ports/portGateway.ts";
import { Claims } from "../queue/claims.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import type { Database } from "../store/database.ts";
import { PodReports } from "../store/podReports.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Tasks } from "../store/tasks.ts";
import { ownedOf } from "../store/warmSessions.ts";
import { Metrics } from "../telemetry/metrics.ts";
import type { ShutdownStep } from "./shutdown.ts";

/** A handler of WebSocket upgrades: the gateway itself, or the forwarder to the gateway. */
export interface Upgrades {
  /** Handles the `upgrade` event of an HTTP server. Never throws. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown;
  /** Ends all WebSockets. */
  beforeApplicationShutdown: () => Promise<void>;
}

/** Connects the server's `upgrade` event to the handler. */
export function takeUpgrades(server: Server, upgrades: Upgrades): void {
  server.on("upgrade", (request, socket, head) => void upgrades.upgrade(request, socket, head));
}

/** Listens on a port that accepts WebSockets only. */
export async function listenForUpgrades(port: number, upgrades: Upgrades): Promise<Server> {
  const server = createServer(idleOptions(), (_request, response) => {
    const problem = problemBody(426, "This port takes WebSocket upgrades only.");
    response
      .writeHead(426, { "content-type": "application/problem+json", upgrade: "websocket" })
      .end(JSON.stringify(problem));
  });
  capConnections(server, maxConnections);
  takeUpgrades(server, upgrades);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "0.0.0.0", resolve);
  });
  return server;
}

/** Listens on the port of the in-pod channel. Returns a function that closes the port. */
export async function listenForPods(
  app: NestFastifyApplication,
  { tokenKeys, SESSION_PORT: port }: Pick<Config, "tokenKeys" | "SESSION_PORT">,
  database: Database,
  logger: Logger,
): Promise<() => Promise<unknown>> {
  const owners = new OwnerWait((ids) => ownedOf(database, ids), logger);
  const unlisten = app.get(Claims).listen((id) => owners.claimed(id));
  const channel = createChannel({
    tokenKeys,
    queries: app.get(SessionQueries),
    tasks: app.get(Tasks),
    reports: app.get(PodReports),
    queue: app.get(SessionQueue),
    owners,
    tenants: app.get(TenantsFile),
    metrics: app.get(Metrics),
    logger,
  });
  await channel.listen({ port, host: "0.0.0.0" });
  return () => {
    unlisten();
    return channel.close();
  };
}

/**
 * The first steps of a shutdown, before the process closes any port. They make clients connect to another process, so that no
 * request is lost.
 */
export const lettingGo = (
  app: NestFastifyApplication,
  upgrades: Upgrades,
  ports: PortGateway | null,
  logger: Logger,
): ShutdownStep[] => [
  {
    name: "end the streams and WebSockets",
    run: () =>
      Promise.all([...[app.get(Streams), upgrades].map((all) => all.beforeApplicationShutdown()), ports?.end()]),
  },
  {
    name: "wait for clients to close their connections",
    run: async () =>
      logger.info(
        { connections: await connectionsLetGo(app.getHttpServer()) },
        "connections that clients have not closed",
      ),
  },
];
