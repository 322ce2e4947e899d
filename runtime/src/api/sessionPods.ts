/** Gives callers access to the pods of running sessions. Records uses in the audit trail, and calls to pods in traces. */
import type { CallOptions } from "@connectrpc/connect";
import type { PodServices, SessionServices } from "../berthd/podServices.ts";
import type { Use } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { tracing } from "../telemetry/tracing.ts";
import type { TenantCaller } from "./access/caller.ts";
import { found } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import type { Reads } from "./reads.ts";
import { type Asked, serviceProblem } from "./serviceProblem.ts";

/** How many milliseconds a pod may take for a short answer. */
const patienceMs = 30_000;

export type RunningSession = Session & { podIp: string };

export class SessionPods {
  constructor(
    private readonly queries: Pick<SessionQueries, "find">,
    private readonly commands: Pick<SessionCommands, "noteUse">,
    readonly services: PodServices,
    private readonly reads: Pick<Reads, "note">,
  ) {}

  /**
   * The tenant's running session, without a record in the audit trail. Throws a Problem: 404 if there is no such
   * session, 409 if the session does not run.
   */
  async findRunning(id: string, { tenant }: Pick<TenantCaller, "tenant">): Promise<RunningSession> {
    return this.#running(found(await this.queries.find(id, tenant.name), id));
  }

  /**
   * Records in the audit trail who does what, and then returns the tenant's running session. If the record can't be
   * written, the caller gets no session. `what` is a text for the audit trail, and must not contain contents of files,
   * input or output. Throws a Problem as `findRunning` does.
   */
  async use(
    id: string,
    { tenant, actor }: Pick<TenantCaller, "tenant" | "actor">,
    use: Use,
    what: string,
  ): Promise<RunningSession> {
    const session = await this.commands.noteUse(id, tenant.name, use, what, actor);
    if (session !== undefined) return this.#running(session);
    await this.findRunning(id, { tenant }); // throws the reason
    throw new Problem(503, "The session has only just begun to run. Please try again.");
  }

  /**
   * Records in the audit trail who reads what, and returns the tenant's running session. If the same caller repeats the
   * same read, each process records one line per minute. Throws a Problem as `findRunning` does.
   */
  async read(
    id: string,
    caller: Pick<TenantCaller, "tenant" | "actor">,
    use: Use,
    what: string,
  ): Promise<RunningSession> {
    const session = await this.findRunning(id, caller);
    await this.reads.note(id, caller, use, what);
    return session;
  }

  /** Sends a short request to the session's pod. Throws a Problem if the request fails. */
  async ask<T>(
    session: RunningSession,
    name: string,
    work: (services: SessionServices, options: CallOptions) => Promise<T>,
    asked?: Asked,
  ): Promise<T> {
    return this.traced(session, name, () => work(this.services.of(session), { timeoutMs: patienceMs }), asked);
  }

  /** Runs `work`, which calls the session's pod, in its own span of the trace. Throws a Problem if `work` fails. */
  async traced<T>(session: Session, name: string, work: () => Promise<T>, asked?: Asked): Promise<T> {
    return tracing().span(`pod ${name}`, { "berth.session": session.id }, async () => {
      try {
        return await work();
      } catch (error) {
        throw serviceProblem(error, asked);
      }
    });
  }

  #running(session: Session): RunningSession {
    const { state, podIp, reason } = session;
    if (state !== "running" || podIp === null) {
      const why = reason === null ? "" : ` (${reason})`;
      throw new Problem(409, `The session is ${state}${why}, but it has to be running.`);
    }
    if (!this.services.canAsk(session)) throw keyIsGone();
    return { ...session, podIp };
  }
}

/** The Problem if this process lacks the key of the session's pod: the key was removed, or added after the process's start. */
export const keyIsGone = () =>
  new Problem(409, "The platform does not have the key of this session's pod any more. End the session.");
