/**
 * Writes one log line, one count, one duration and one span per HTTP request (less for probes and for routine requests),
 * and puts the request's ids on every log line that is written while the request is handled.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { type LogContext, withLogContext } from "./logContext.ts";
import type { Metrics } from "./metrics.ts";
import { redact } from "./redact.ts";
import type { RequestTrace } from "./tracer.ts";
import { tracing } from "./tracing.ts";

/**
 * Requests that another process has answered. That process logs them as requests and counts them. This process forwards
 * the answer, and logs the request only at the level `debug`.
 */
export const answeredElsewhere = new WeakSet<FastifyRequest>();

/**
 * Adds the hooks to a Fastify instance. Each answer has the request's id in the header `x-request-id`.
 * @param routine routes that programs call all the time: logged at the level `debug`, not traced, and counted only if
 * they fail (5xx)
 */
export function observeRequests(
  fastify: FastifyInstance,
  metrics: Pick<Metrics, "httpRequests" | "httpDuration">,
  logger: Logger,
  routine: string[] = [],
): void {
  const isQuiet = (route: string) => routine.includes(route) || isProbe(route);
  const contexts = new WeakMap<object, { log: LogContext; trace: RequestTrace | undefined }>();
  /** Calls `done`, so that the request continues with its log context and in its trace. */
  const within = (request: FastifyRequest, done: () => void): void => {
    const { log = {}, trace } = contexts.get(request) ?? {};
    withLogContext(log, () => (trace === undefined ? done() : trace.within(done)));
  };
  fastify.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    const { id } = request.params as { id?: unknown };
    const route = request.routeOptions.url ?? "none";
    // Quiet routes are not traced, because otherwise most traces would be those of probes, scrapes and the pods' regular
    // reports.
    const trace = isQuiet(route) ? undefined : tracing().request(`${request.method} ${route}`, request.headers);
    contexts.set(request, { log: { requestId: request.id, ...(isSessionId(id) && { sessionId: id }) }, trace });
    within(request, done);
  });
  // The body arrives outside of the request's asynchronous context, so this hook enters the context again.
  fastify.addHook("preValidation", (request, _reply, done) => within(request, done));
  fastify.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "none";
    if (!routine.includes(route) || (reply.statusCode >= 500 && !answeredElsewhere.has(request))) {
      metrics.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
      metrics.httpDuration.observe({ method: request.method, route }, reply.elapsedTime / 1000);
    }
    const { log, trace } = contexts.get(request) ?? {};
    trace?.end({
      "http.request.method": request.method,
      "http.route": route,
      "http.response.status_code": reply.statusCode,
      ...(log?.tenant !== undefined && { "berth.tenant": log.tenant }),
      ...(log?.sessionId !== undefined && { "berth.session": log.sessionId }),
    });
    logger[isQuiet(route) ? "debug" : "info"](
      {
        ...log,
        method: request.method,
        url: redact(request.url).slice(0, maxUrlLength), // cut last, because half of a secret might not look like a secret
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        address: request.ip,
      },
      "request",
    );
    done();
  });
}

/** How many characters of a URL are logged. No normal request has a longer URL. */
const maxUrlLength = 2_048;

const isProbe = (route: string) => route.startsWith("/health/") || route === "/metrics";

const isSessionId = (id: unknown): id is string => typeof id === "string" && /^[0-9a-f-]{36}$/.test(id);
