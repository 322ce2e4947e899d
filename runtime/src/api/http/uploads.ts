/**
 * Bodies of requests. Most routes accept only small JSON bodies with a short time limit. Routes that accept files read
 * a body of any type and length, as long as bytes keep arriving.
 */
import { RouteConfig } from "@nestjs/platform-fastify";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Problem } from "./problem.ts";

/** How many milliseconds a body may take to arrive, unless it is a file. */
const bodyMs = 30_000;

/** How many milliseconds may pass between two bytes of a file. */
const silenceMs = 60_000;

/** Marks a handler of requests whose body is a file. The handler reads the raw request; see `watchBody`. */
export const TakesFile = () => RouteConfig({ takesFile: true });

const takesFile = ({ routeOptions }: FastifyRequest): boolean =>
  (routeOptions.config as { takesFile?: boolean }).takesFile === true;

/** Makes the server follow the rules for bodies at the head of this file. `ms` replaces `bodyMs` in tests. */
export function takeBodies(fastify: FastifyInstance, ms = bodyMs): void {
  fastify.removeContentTypeParser("text/plain");
  // Many clients send the content type JSON even without a body, and Fastify would refuse such a request. If a body is
  // sent in chunks, only its end shows that it is empty.
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
  // If the request is refused, the server does not read the rest of the file. So the connection must not be used again.
  fastify.addHook("onSend", async (request, reply) => {
    if (takesFile(request) && !request.raw.complete) reply.header("connection", "close");
  });
}

/**
 * Ends the request if no byte of its body arrives for a minute. The returned function returns a Problem once the body was cut
 * off, and undefined before.
 */
export function watchBody({ raw }: FastifyRequest): () => Problem | undefined {
  let isSilent = false;
  raw.setTimeout(silenceMs, () => {
    if (raw.complete) return;
    isSilent = true;
    raw.destroy();
  });
  return () => {
    if (raw.complete || !raw.destroyed) return undefined;
    return new Problem(400, isSilent ? "No byte of the body arrived for a minute." : "The body was cut off.");
  };
}
