/**
 * The in-pod channel: what a session's pod may ask and tell, on a port of its own that nobody else reaches.
 *
 *     GET  /session/task       what the agent is to do: command, environment, secrets. `Prefer: wait=SECONDS` holds the
 *                              question while the session has no owner
 *     POST /session/task/taken the pod has its task: nobody gets that again, as programs in the session have the pod's token too
 *     POST /session/ready      the desktop's first screen is there
 *     POST /session/activity   for how long nobody has typed or pointed, and how the command is doing
 *     POST /session/progress   how far the agent is, for people
 *
 * The pod speaks for its session by the token that only it has: `Authorization: Bearer <token>`.
 */
import { randomUUID } from "node:crypto";
import { type FastifyInstance, type FastifyRequest, fastify } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { bearer } from "../api/access/caller.ts";
import { plainText } from "../api/http/input.ts";
import { invalidInput, Problem, sendProblem } from "../api/http/problem.ts";
import { capConnections, idleOptions, maxConnections } from "../api/http/sockets.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";
import { isFinal } from "../domain/state.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Tasks } from "../store/tasks.ts";
import { addToLogContext } from "../telemetry/logContext.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { observeRequests } from "../telemetry/requests.ts";
import { gathered } from "./gathered.ts";
import { Limiter } from "./limiter.ts";
import type { OwnerWait } from "./ownerWait.ts";
import { sessionOf } from "./token.ts";

export interface ChannelOptions {
  tokenKeys: TokenKeys;
  queries: Pick<SessionQueries, "find">;
  tasks: Pick<Tasks, "of" | "taken">;
  commands: Pick<SessionCommands, "touch" | "noteProgress">;
  queue: Pick<SessionQueue, "look">;
  /** Holds the questions of pods that were made ahead. */
  owners: Pick<OwnerWait, "until" | "end">;
  tenants: Pick<TenantsFile, "get">;
  metrics: Pick<Metrics, "httpRequests" | "httpDuration">;
  logger: Logger;
}

/** Connections that one address may have: a pod needs two or three, and with some network plugins a node's 110 pods share one. */
const maxConnectionsOfPod = 400;

/**
 * Somebody typed or pointed within so many seconds before the report: the session is in use. Reports come when something changes,
 * at most every 10 s.
 */
const freshSeconds = 15;

/** How often a pod that was made ahead asks whether it has an owner now, if it does not let us hold its question. */
const ownerPollSeconds = 1;

/** Reports of use that come within so many milliseconds are one statement. */
const gatherMs = 20;

/** The longest that a question is held. */
const maxWaitSeconds = 25;

/** What pods ask and tell by themselves, however little happens: no line of the log each, and none of the users' requests. */
const routine = ["/session/task", "/session/activity"];

const ActivityReport = z.strictObject({
  idleSeconds: z.number("must be a number of seconds").min(0, "must not be negative"),
  /** `waiting`: the pod has no task yet; `none`: the task has no command. */
  command: z.enum(["waiting", "none", "running", "ended"], "must be waiting, none, running or ended"),
  exitCode: z.int("must be a whole number").min(0, "must be at least 0").max(255, "must be at most 255").optional(),
});

const ProgressReport = z.strictObject({
  message: plainText(500).trim().min(1, "must not be empty"),
  percent: z.number("must be a number").min(0, "must be at least 0").max(100, "must be at most 100").optional(),
});

/** The server; it does not listen yet. */
export function createChannel({
  tokenKeys,
  queries,
  tasks,
  commands,
  queue,
  owners,
  tenants,
  metrics,
  logger,
}: ChannelOptions): FastifyInstance {
  const server = fastify({
    bodyLimit: 16 * 1024,
    requestTimeout: 10_000,
    http: idleOptions(),
    forceCloseConnections: "idle",
    genReqId: () => randomUUID(),
  });
  capConnections(server.server, maxConnections, maxConnectionsOfPod);
  const limiter = new Limiter();
  const touch = gathered<string>((ids) => commands.touch(...ids), gatherMs);
  observeRequests(server, metrics, logger, routine);
  // Those that are held would keep the port from closing.
  server.addHook("preClose", async () => owners.end());
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, logger));
  server.setNotFoundHandler((request, reply) => sendProblem({ statusCode: 404 }, request, reply, logger));

  /** The session that the request speaks for, or the problem with it. */
  async function speaker(request: FastifyRequest): Promise<Session> {
    const id = sessionOf(tokenKeys, bearer(request.headers.authorization) ?? "");
    if (id === undefined) throw new Problem(401, "The session's token is needed: Authorization: Bearer <token>.");
    addToLogContext({ sessionId: id });
    const seconds = limiter.take(id);
    if (seconds > 0) throw new Problem(429, `Too many calls; come again in ${seconds} s.`, undefined, seconds);
    return current(id);
  }

  /** The session as it is now, or the problem with it. */
  async function current(id: string): Promise<Session> {
    const session = await queries.find(id);
    if (session === undefined) throw new Problem(404, `There is no session ${id}.`);
    addToLogContext({ tenant: session.tenant });
    if (isFinal(session.state)) throw new Problem(409, `The session is ${session.state}.`);
    return session;
  }

  server.get("/session/task", async (request, reply) => {
    let session = await speaker(request);
    const seconds = waitSeconds(request);
    if (session.warm !== null && seconds > 0) {
      const caller = new AbortController();
      reply.raw.once("close", () => caller.abort());
      await owners.until(session.id, seconds * 1_000, caller.signal);
      session = await current(session.id);
    }
    const { id, tenant, tier, warm } = session;
    // Who let the question be held asks again at once.
    if (warm !== null)
      throw new Problem(409, "The session is nobody's yet.", undefined, seconds > 0 ? 0 : ownerPollSeconds);
    const task = await tasks.of(id);
    if (task === "taken") throw new Problem(410, "The session's pod has its task already.");
    reply.header("cache-control", "no-store");
    return { id, tenant, tier, ...task };
  });

  server.post("/session/task/taken", async (request, reply) => {
    const { id, warm } = await speaker(request);
    if (warm !== null) throw new Problem(409, "The session is nobody's yet.");
    await tasks.taken(id);
    return reply.status(204).send();
  });

  server.post("/session/ready", async (request, reply) => {
    const { id } = await speaker(request);
    queue.look(id);
    logger.info("the desktop's first screen is there");
    return reply.status(204).send();
  });

  server.post("/session/activity", async (request, reply) => {
    const { id, tenant } = await speaker(request);
    const { idleSeconds, command, exitCode } = parse(ActivityReport, request.body);
    // Of a tenant that the file does not name, nobody knows that a command shall not count.
    const works = command === "running" && tenants.get(tenant)?.commandIsActivity !== false;
    if (works || idleSeconds < freshSeconds) await touch(id);
    if (command === "ended") logger.info({ exitCode }, "the agent's command ended");
    return reply.status(204).send();
  });

  server.post("/session/progress", async (request, reply) => {
    const { id } = await speaker(request);
    const { message, percent } = parse(ProgressReport, request.body);
    await commands.noteProgress(id, message, percent ?? null, { name: "agent", address: request.ip });
    return reply.status(204).send();
  });

  return server;
}

/** For how many seconds the caller wants its question held (RFC 7240); 0 if it does not say. */
function waitSeconds({ headers: { prefer } }: FastifyRequest): number {
  const [, seconds = "0"] = /(?:^|[,;])\s*wait=(\d{1,9})\s*(?:[,;]|$)/i.exec(String(prefer ?? "")) ?? [];
  return Math.min(Number(seconds), maxWaitSeconds);
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalidInput(parsed.error.issues);
  return parsed.data;
}
