/** One log line, one count and one duration per HTTP request, and the request's ids on every line in between. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Metrics } from "../metrics/metrics.ts";
import { type LogContext, withLogContext } from "./context.ts";

/** Adds the hooks to an instance of Fastify. Its answers name the request's id in `x-request-id`. */
export function observeRequests(
  fastify: FastifyInstance,
  metrics: Pick<Metrics, "httpRequests" | "httpDuration">,
  logger: Logger,
): void {
  const contexts = new WeakMap<object, LogContext>();
  fastify.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    const { id } = request.params as { id?: unknown };
    const context = { requestId: request.id, ...(isSessionId(id) && { sessionId: id }) };
    contexts.set(request, context);
    withLogContext(context, done);
  });
  // The body arrives outside of the context that its request began in.
  fastify.addHook("preValidation", (request, _reply, done) => withLogContext(contexts.get(request) ?? {}, done));
  fastify.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "none";
    metrics.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
    metrics.httpDuration.observe({ method: request.method, route }, reply.elapsedTime / 1000);
    const quiet = route.startsWith("/health/") || route === "/metrics";
    logger[quiet ? "debug" : "info"](
      {
        ...contexts.get(request),
        method: request.method,
        url: request.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        address: request.ip,
      },
      "request",
    );
    done();
  });
}

const isSessionId = (id: unknown): id is string => typeof id === "string" && /^[0-9a-f-]{36}$/.test(id);
