/**
 * The in-pod channel: the calls that a session's pod makes to the platform. The channel has its own port, which
 * only pods can reach.
 *
 *     GET  /session/task       returns the agent's task: command, environment, secrets. With `Prefer: wait=SECONDS`, a warm
 *                              session's pod gets the answer when the session is claimed, or when SECONDS are over
 *     POST /session/task/taken says that the pod has read its task. Until the session gets another pod, the channel then
 *                              gives the task to nobody, because the programs in the session can use the pod's token too
 *     POST /session/ready      says that the desktop shows its first screen
 *     POST /session/activity   reports the seconds since the last keyboard or pointer input, and the state of the command
 *     POST /session/progress   reports the agent's progress, as a text for users
 *
 * The pod authenticates with the session's token, which no other pod gets: `Authorization: Bearer <token>`.
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
import { isFinal } from "../domain/states/state.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { PodReport, PodReports } from "../store/podReports.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Tasks } from "../store/tasks.ts";
import { addToLogContext } from "../telemetry/logContext.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { observeRequests } from "../telemetry/requests.ts";
import { gathered } from "../timing/gathered.ts";
import { Limiter } from "./limiter.ts";
import type { OwnerWait } from "./ownerWait.ts";
import { sessionOf } from "./token.ts";

export interface ChannelOptions {
  tokenKeys: TokenKeys;
  queries: Pick<SessionQueries, "find">;
  tasks: Pick<Tasks, "of" | "taken">;
  reports: Pick<PodReports, "take" | "noteProgress">;
  queue: Pick<SessionQueue, "trigger">;
  /** Delays the answers to pods of warm sessions until the sessions are claimed. */
  owners: Pick<OwnerWait, "until" | "end">;
  tenants: Pick<TenantsFile, "all">;
  metrics: Pick<Metrics, "httpRequests" | "httpDuration">;
  logger: Logger;
}

/**
 * How many connections to the channel may be open from one client address. Usually an address belongs to one pod, which
 * needs two or three connections. With some network plugins, the 110 pods of a node share one address.
 */
const maxConnectionsOfPod = 400;

/**
 * If the last keyboard or pointer input was less than this many seconds before the pod's report, the session counts as used.
 * While users give input, the pod reports about every 10 s.
 */
const freshSeconds = 15;

/**
 * After how many seconds the pod of a warm session has to ask again whether the session was claimed, if the pod's request has
 * no `Prefer: wait=SECONDS`.
 */
const ownerPollSeconds = 1;

/** Reports that arrive within this time, in milliseconds, become one SQL statement. */
const gatherMs = 20;

/** The longest time for which a pod's request waits for its answer, in seconds. */
const maxWaitSeconds = 25;

/** Routes that every pod calls regularly. Logged only at the level `debug`, and counted only if they fail (5xx). */
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

/** Creates the server. The caller makes the server listen. */
export function createChannel({
  tokenKeys,
  queries,
  tasks,
  reports,
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
  const take = gathered(async (some: PodReport[]) => {
    // For a tenant that the file does not name, the default applies: a running command counts as activity.
    const quiet = tenants.all().filter(({ commandIsActivity }) => !commandIsActivity);
    const sessions = await reports.take(
      some,
      quiet.map(({ name }) => name),
    );
    return new Map(sessions.map((session) => [session.id, session]));
  }, gatherMs);
  observeRequests(server, metrics, logger, routine);
  // The channel delays answers to pods of warm sessions. These open requests would keep the server from closing, so
  // `owners.end()` ends the waits.
  server.addHook("preClose", async () => owners.end());
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, logger));
  server.setNotFoundHandler((request, reply) => sendProblem({ statusCode: 404 }, request, reply, logger));

  /** The id of the session whose token the request has. Throws a Problem. */
  function idOf(request: FastifyRequest): string {
    const id = sessionOf(tokenKeys, bearer(request.headers.authorization) ?? "");
    if (id === undefined) throw new Problem(401, "Send the session's token: Authorization: Bearer <token>.");
    addToLogContext({ sessionId: id });
    const seconds = limiter.take(id);
    if (seconds > 0) throw new Problem(429, `Too many calls. Try again in ${seconds} s.`, undefined, seconds);
    return id;
  }

  /** The session whose token the request has. Throws a Problem. */
  const speaker = (request: FastifyRequest): Promise<Session> => current(idOf(request));

  /** Reads the session with this id. Throws a Problem if no session has the id, or if the session has ended. */
  async function current(id: string): Promise<Session> {
    return alive(id, await queries.find(id));
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
    // A request that has waited here for its answer may be repeated at once.
    if (warm !== null)
      throw new Problem(409, "The session has not been claimed yet.", undefined, seconds > 0 ? 0 : ownerPollSeconds);
    const task = await tasks.of(id);
    if (task === "taken") throw new Problem(410, "The session's pod has already read its task.");
    reply.header("cache-control", "no-store");
    return { id, tenant, tier, ...task };
  });

  server.post("/session/task/taken", async (request, reply) => {
    const { id, warm } = await speaker(request);
    if (warm !== null) throw new Problem(409, "The session has not been claimed yet.");
    await tasks.taken(id);
    return reply.status(204).send();
  });

  server.post("/session/ready", async (request, reply) => {
    const { id, state } = await speaker(request);
    // The session's programs can make this call too. After the start it must not cause work.
    if (state === "starting") queue.trigger(id);
    logger.info("the desktop shows its first screen");
    return reply.status(204).send();
  });

  server.post("/session/activity", async (request, reply) => {
    const id = idOf(request);
    const { idleSeconds, command, exitCode } = parse(ActivityReport, request.body);
    const sessions = await take({ id, isActive: idleSeconds < freshSeconds, runsCommand: command === "running" });
    alive(id, sessions.get(id));
    if (command === "ended") logger.info({ exitCode }, "the agent's command ended");
    return reply.status(204).send();
  });

  server.post("/session/progress", async (request, reply) => {
    const { id } = await speaker(request);
    const { message, percent } = parse(ProgressReport, request.body);
    await reports.noteProgress(id, message, percent ?? null, { name: "agent", address: request.ip });
    return reply.status(204).send();
  });

  return server;
}

/** Returns the session. Throws a Problem if `session` is undefined or has ended. */
function alive<T extends Pick<Session, "tenant" | "state">>(id: string, session: T | undefined): T {
  if (session === undefined) throw new Problem(404, `There is no session ${id}.`);
  addToLogContext({ tenant: session.tenant });
  if (isFinal(session.state)) throw new Problem(409, `The session is ${session.state}.`);
  return session;
}

/** For how many seconds the caller is ready to wait for its answer (RFC 7240); 0 if the header is missing. */
function waitSeconds({ headers: { prefer } }: FastifyRequest): number {
  const [, seconds = "0"] = /(?:^|[,;])\s*wait=(\d{1,9})\s*(?:[,;]|$)/i.exec(String(prefer ?? "")) ?? [];
  return Math.min(Number(seconds), maxWaitSeconds);
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalidInput(parsed.error.issues);
  return parsed.data;
}
