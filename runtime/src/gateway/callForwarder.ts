/**
 * Calls that are not the gateway's own, passed on to the API as they are: the path byte for byte, the body once all of it is
 * there (small, as for the API itself), the answer as it comes. The API lets the caller in or not, counts the call for its
 * rate, and logs, counts and traces it; the gateway does so only where the API gives no answer.
 */
import { once } from "node:events";
import { Agent, type IncomingMessage, request as open } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Peers } from "../api/access/peers.ts";
import { Problem } from "../api/http/problem.ts";
import { answeredElsewhere } from "../telemetry/requests.ts";
import { endToEnd } from "./hopByHop.ts";

export interface ForwardOptions {
  /** Where to, e.g. http://api.berth.svc.cluster.local. */
  target: string;
  peers: Pick<Peers, "headersFor">;
  logger: Logger;
}

/** The route of what is forwarded: all that no route of the gateway's own is. */
export const forwardedRoute = "/*";

/** Milliseconds in which a connection to the API must be there. */
export const connectMs = 5_000;

/** Milliseconds without a byte, after which an answer is given up. The longest that the API holds a call is a minute. */
const silenceMs = 120_000;

/** Free connections that are kept, each for as long as the API says and no longer. */
const keptConnections = 256;

/** Has the server forward whatever it has no other route for. Ends its connections when the server closes. */
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
  reply.raw.once("close", () => reply.raw.writableFinished || gone.abort());
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
        "x-request-id": id,
        ...peers.headersFor(ip),
        ...(body !== undefined && { "content-length": body.length }),
      },
    });
    call.on("error", () => {}); // the first is thrown below; one that comes after the answer is the answer's too
    call.on("timeout", () => call.destroy(new Error(`not a byte in ${silenceMs / 1_000} s`)));
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
      // The API may have closed the connection as the call was on its way; what changes nothing can be asked again.
      if (call.reusedSocket && isReset(error) && (method === "GET" || method === "HEAD")) return ask();
      throw error;
    }
  };
  const answer = await ask().catch((error: unknown) => {
    if (!gone.signal.aborted) logger.warn({ err: error, requestId: id }, "the API gives no answer");
    throw noAnswer(error);
  });
  answeredElsewhere.add(request);
  // An answer that is cut off ends the connection to the caller too, because it is cut off for them.
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

/** The call never reached the API. */
const neverThere = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"];

/** What the caller is told where the API gives no answer. */
export const noAnswer = (error: unknown): Problem =>
  neverThere.includes(codeOf(error))
    ? new Problem(503, "The API can't be reached at the moment, and nothing was done. Please try again.", undefined, 2)
    : new Problem(
        502,
        "The connection to the API was lost before its answer. What was asked for may have been done: look before you try again.",
        undefined,
        2,
      );
