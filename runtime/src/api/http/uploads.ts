/**
 * Bodies. Those of most routes are JSON, small and soon there; those of routes that take files are taken as they come, of any
 * type and length, for as long as something comes.
 */
import { RouteConfig } from "@nestjs/platform-fastify";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Problem } from "./problem.ts";

/** Milliseconds in which a body must be there, but for a file's. */
const bodyMs = 30_000;

/** Milliseconds that may pass without a byte of a file. */
const silenceMs = 60_000;

/** A handler whose body is a file: it reads `bodyOf` the request. */
export const TakesFile = () => RouteConfig({ takesFile: true });

const takesFile = ({ routeOptions }: FastifyRequest): boolean =>
  (routeOptions.config as { takesFile?: boolean }).takesFile === true;

/** Has the server take bodies so; `ms` is for tests. */
export function takeBodies(fastify: FastifyInstance, ms = bodyMs): void {
  fastify.removeContentTypeParser("text/plain");
  // Many clients say "JSON" with each request, also with one that has no body, which Fastify would refuse. One that sends its
  // body in chunks shows only at its end that there is none.
  const parseJson = fastify.getDefaultJsonParser("error", "error");
  fastify.removeContentTypeParser("application/json");
  fastify.addContentTypeParser("application/json", { parseAs: "string" }, (request, body: string, done) => {
    if (body === "") done(null, undefined);
    else void parseJson(request, body, done);
  });
  fastify.addContentTypeParser("application/octet-stream", (request, _payload, done) => {
    if (takesFile(request)) done(null);
    else done(new Problem(415, "Unsupported Media Type: the body must be JSON."));
  });
  fastify.addHook("onRequest", (request, _reply, done) => {
    const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
    if (length === "0" && encoding === undefined) delete request.headers["content-type"];
    else if (takesFile(request)) request.headers["content-type"] = "application/octet-stream";
    else {
      const timer = setTimeout(() => request.raw.destroy(), ms);
      request.raw.once("end", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
    }
    done();
  });
  // Of a file that is refused nobody reads the rest.
  fastify.addHook("onSend", async (request, reply) => {
    if (takesFile(request) && !request.raw.complete) reply.header("connection", "close");
  });
}

/** The body as it comes. Throws a Problem if it is cut off, or if nothing comes for a minute. */
export async function* bodyOf({ raw }: FastifyRequest): AsyncGenerator<Buffer> {
  let isSilent = false;
  raw.setTimeout(silenceMs, () => {
    isSilent = true;
    raw.destroy();
  });
  try {
    // Who reads no further has an answer to send first.
    yield* raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch {
    throw new Problem(400, isSilent ? "Nothing of the body came for a minute." : "The body was cut off.");
  }
  if (!raw.complete) throw new Problem(400, "The body was cut off.");
}
