/**
 * If the gateway does not serve a call itself, it forwards the call to the API. The path stays the same byte for byte. The
 * body is forwarded when it has arrived completely; the body is small, because the gateway itself serves the calls whose body
 * is a file. The answer is forwarded as it arrives. The API authorizes the caller, counts the call for the rate limit and in
 * the metrics, and logs the call. The gateway adds a span to the call's trace. The gateway counts the call, and logs it above
 * the level `debug`, only if the API gives no answer.
 */
import { once } from "node:events";
import { Agent, type IncomingMessage, request as open } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Peers } from "../api/access/peers.ts";
import { Problem } from "../api/http/problem.ts";
import { answeredElsewhere } from "../telemetry/requests.ts";
import { tracing } from "../telemetry/tracing.ts";
import { endToEnd } from "./hopByHop.ts";

export interface ForwardOptions {
  /** The API's address, e.g. http://api.berth.svc. */
  target: string;
  peers: Pick<Peers, "headersFor">;
  logger: Logger;
}

/** The route of forwarded calls: it matches every path that no other route of the gateway matches. */
export const forwardedRoute = "/*";

/** How many milliseconds the opening of a connection to the API may take. */
export const connectMs = 5_000;

/**
 * If no byte arrives for this time, in milliseconds, the gateway gives up on the answer. The API lets a call wait for
 * a minute at most.
 */
const silenceMs = 120_000;

/** How many idle connections are kept open at most. The API says how long each may be idle. */
const keptConnections = 256;

/**
 * Makes the server forward each call that no other route matches. When the server closes, ends the connections to the
 * API.
 */
export function forwardCalls(fastify: FastifyInstance, options: ForwardOptions): void {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: keptConnections });
  void fastify.register(async (within) => {
    within.removeAllContentTypeParsers();
    within.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    within.all(forwardedRoute, (request, reply) => forward(request, reply, agent, options));
    within.addHook("onClose", async () => agent.destroy());
  });
}

async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  agent: Agent,
  { target, peers, logger }: ForwardOptions,
): Promise<FastifyReply> {
  const { method, raw, id, ip } = request;
  const body = Buffer.isBuffer(request.body) ? request.body : undefined;
  const gone = new AbortController();
  const trace = tracing().request(`forward ${method}`, raw.headers);
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort();
    trace?.end({ "http.request.method": method, "http.response.status_code": reply.raw.statusCode });
  });
  const ask = async (): Promise<IncomingMessage> => {
    const { "content-length": _length, ...headers } = endToEnd(raw.headers);
    const call = open(target, {
      method,
      path: raw.url ?? "/",
      agent,
      setHost: false,
      signal: gone.signal,
      timeout: silenceMs,
      headers: {
        ...headers,
        ...tracing().headers(),
        "x-request-id": id,
        ...peers.headersFor(ip),
        ...(body !== undefined && { "content-length": body.length }),
      },
    });
    call.on("error", () => {}); // the first error is thrown below; a later one also reaches the stream of the answer
    call.on("timeout", () => call.destroy(new Error(`no byte received for ${silenceMs / 1_000} s`)));
    const late = setTimeout(() => call.destroy(new NoConnection()), connectMs);
    call.once("socket", (socket) => {
      if (socket.connecting) socket.once("connect", () => clearTimeout(late));
      else clearTimeout(late);
    });
    call.once("close", () => clearTimeout(late));
    call.end(body);
    try {
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      return answer;
    } catch (error) {
      // The API may have closed the idle connection just as the call was sent. A call that changes nothing can be
      // sent again.
      if (call.reusedSocket && isReset(error) && (method === "GET" || method === "HEAD")) return ask();
      throw error;
    }
  };
  const asked = trace === undefined ? ask() : trace.within(ask);
  const answer = await asked.catch((error: unknown) => {
    if (!gone.signal.aborted) logger.warn({ err: error, requestId: id }, "the API does not answer");
    throw noAnswer(error);
  });
  answeredElsewhere.add(request);
  // If the answer is cut off, the caller's connection ends too, so that the caller notices.
  return reply
    .status(answer.statusCode ?? 502)
    .headers(endToEnd(answer.headers))
    .send(answer);
}

class NoConnection extends Error {
  readonly code = "ETIMEDOUT";
  constructor() {
    super(`no connection in ${connectMs / 1_000} s`);
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? "";

const isReset = (error: unknown) => ["ECONNRESET", "EPIPE"].includes(codeOf(error));

/** Error codes that mean: the call never reached the API. */
const neverThere = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"];

/** The Problem for the caller if the API gives no answer. */
export const noAnswer = (error: unknown): Problem =>
  neverThere.includes(codeOf(error))
    ? new Problem(503, "The API can't be reached at the moment, and nothing was done. Please try again.", undefined, 2)
    : new Problem(
        502,
        "The connection to the API was lost before its answer. The API may have done what the request asked. Check before you try again.",
        undefined,
        2,
      );
