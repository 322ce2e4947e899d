/**
 * The HTTP server of a role: Fastify under Nest. Each request is logged once (see telemetry/requests.ts), and errors are
 * sent as application/problem+json.
 */
import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import fastifyStatic from "@fastify/static";
import { type DynamicModule, StandardSchemaValidationPipe } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Health } from "../../telemetry/health.ts";
import { nestLogger } from "../../telemetry/logging.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { observeRequests } from "../../telemetry/requests.ts";
import type { CallerRequest } from "../access/caller.ts";
import type { Peers } from "../access/peers.ts";
import { assetsPath, noVncFolder, page, pageFolder } from "../page.ts";
import { invalidInput, ProblemFilter, problemBody, sendProblem } from "./problem.ts";
import { capConnections, closeWhenIdle, idleOptions, maxConnections } from "./sockets.ts";
import { takeBodies } from "./uploads.ts";

/** The maximum size of a request's body in bytes. */
const bodyLimit = 64 * 1024;

/**
 * Creates the HTTP application of a role from the role's module. The application does not listen yet.
 * @param peers find the address of the client behind a proxy. Default: the connection's address
 * @param routine routes that are logged only at the level `debug`, and counted only if they fail; see `observeRequests`
 */
export async function createHttp(
  module: DynamicModule,
  logger: Logger,
  { peers, routine = [] }: { peers?: Peers; routine?: string[] } = {},
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit,
    genReqId: (request: { headers: Record<string, unknown> }) => requestId(request.headers["x-request-id"]),
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(error, request, reply, logger),
    clientErrorHandler(
      error: NodeJS.ErrnoException,
      socket: { writable: boolean; end: (text: string) => void; destroy: () => void },
    ) {
      if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy();
      const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
      const problem = problemBody(
        status,
        status === 431 ? "The request's headers are too large." : "This is not valid HTTP.",
      );
      const body = JSON.stringify(problem);
      socket.end(
        `HTTP/1.1 ${status} ${problem.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
    forceCloseConnections: "idle", // a shutdown waits for running requests
    requestTimeout: 0, // see uploads.ts
    http: idleOptions(),
  } as ConstructorParameters<typeof FastifyAdapter>[0]);

  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: nestLogger(logger),
    abortOnError: false,
    bodyParser: false, // Fastify's own parser reads JSON; Nest would add HTML forms
  });
  app.useGlobalPipes(new StandardSchemaValidationPipe({ exceptionFactory: invalidInput }));
  app.useGlobalFilters(new ProblemFilter(logger));

  const fastify = adapter.getInstance<FastifyInstance>();
  capConnections(fastify.server, maxConnections);
  takeBodies(fastify);
  fastify.addHook("onRequest", (request, _reply, done) => {
    if (peers !== undefined) Object.defineProperty(request, "ip", { value: peers.addressOf(request.raw) });
    done();
  });
  // An unknown caller must not keep a connection open for long. A proxy's connection is exempt, because many clients
  // share it.
  fastify.addHook("onResponse", (request, _reply, done) => {
    const { caller, socket, raw } = request as CallerRequest;
    if (caller === undefined && peers?.isShared(raw) !== true) closeWhenIdle(socket);
    done();
  });
  observeRequests(fastify, app.get(Metrics), logger, routine);
  // While the process drains, each answer asks the client to close its connection before the server does.
  const health = app.get(Health);
  fastify.addHook("preClose", async () => health.drain());
  fastify.addHook("onSend", async (_request, reply) => {
    if (health.isDraining) reply.header("connection", "close");
    else if (reply.getHeader("connection") !== "close") reply.header("keep-alive", `timeout=${letGoMs / 1_000}`);
  });
  return app;
}

/**
 * Each answer asks the client, in the header Keep-Alive, to close a connection that the client has not used for this
 * time. Some proxies ignore the header, so the server itself waits longer: Fastify's 72 s, or 10 s for a caller without
 * a valid key that is not a trusted proxy.
 */
const letGoMs = 5_000;

/**
 * Waits until the server has no connection any more, and returns how many connections it still has when the wait ends.
 * If the server closed a connection just when the client uses it, a request would be lost. So while `Health` drains,
 * each answer asks the client to close the connection. Call this function after the streams and WebSockets have ended.
 * @param limitMs the longest wait in milliseconds. Default: as long as clients keep an idle connection
 */
export async function connectionsLetGo(server: Server, limitMs = letGoMs): Promise<number> {
  const count = promisify(server.getConnections).bind(server);
  for (const end = performance.now() + limitMs; ; await sleep(50)) {
    const left = await count();
    if (left === 0 || performance.now() >= end) return left;
  }
}

/** Serves the files of the desktop page at `assetsPath`. */
export async function servePage(app: NestFastifyApplication): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance();
  const files = { index: false, cacheControl: false, setHeaders: assetHeaders } as const;
  await fastify.register(fastifyStatic, { ...files, root: pageFolder, prefix: assetsPath });
  await fastify.register(fastifyStatic, {
    ...files,
    root: noVncFolder,
    prefix: `${assetsPath}novnc/`,
    decorateReply: false,
  });
}

/** During a rollout, a page may request its files from a process of another version. No cache may store that answer. */
function assetHeaders(reply: FastifyReply): void {
  const { version } = reply.request.params as { version?: string };
  reply.header("cache-control", version === page().version ? "public, max-age=31536000, immutable" : "no-store");
  reply.header("x-content-type-options", "nosniff");
}

/** The caller's request id if it is well-formed, else a new one. */
function requestId(given: unknown): string {
  return typeof given === "string" && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
}
