/** The pods of running sessions, for callers who may use them: found, noted in the audit trail, asked, traced. */
import type { CallOptions } from "@connectrpc/connect";
import type { Use } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import type { PodServices, SessionServices } from "../pod/podServices.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { tracing } from "../telemetry/tracing.ts";
import type { TenantCaller } from "./access/caller.ts";
import { found } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { type Asked, serviceProblem } from "./serviceProblem.ts";

/** Milliseconds that a pod may take for a short answer. */
const patienceMs = 30_000;

export type RunningSession = Session & { podIp: string };

export class SessionPods {
  constructor(
    private readonly queries: Pick<SessionQueries, "find">,
    private readonly commands: Pick<SessionCommands, "noteUse">,
    readonly services: PodServices,
  ) {}

  /** The tenant's session, for a look that nobody has to hear of. Throws a Problem: 404 there is none, 409 it doesn't run. */
  async look(id: string, { tenant }: Pick<TenantCaller, "tenant">): Promise<RunningSession> {
    return this.#running(found(await this.queries.find(id, tenant.name), id));
  }

  /**
   * The tenant's session, after it was noted who does what in it: nobody does what isn't on record. `what` is for people and
   * holds nothing of what is inside of files, input or output. Throws a Problem as `look` does.
   */
  async use(
    id: string,
    { tenant, actor }: Pick<TenantCaller, "tenant" | "actor">,
    use: Use,
    what: string,
  ): Promise<RunningSession> {
    const session = await this.commands.noteUse(id, tenant.name, use, what, actor);
    if (session !== undefined) return this.#running(session);
    await this.look(id, { tenant }); // says why
    throw new Problem(503, "The session has only just begun to run. Please try again.");
  }

  /** Asks the session's pod for something short. Throws a Problem for what is wrong with it. */
  async ask<T>(
    session: RunningSession,
    name: string,
    work: (services: SessionServices, options: CallOptions) => Promise<T>,
    asked?: Asked,
  ): Promise<T> {
    return this.traced(session, name, () => work(this.services.of(session), { timeoutMs: patienceMs }), asked);
  }

  /** Does work with the session's pod in a span of its own. Throws a Problem for what is wrong with it. */
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
      throw new Problem(409, `The session is ${state}${why}; it has to be running.`);
    }
    if (!this.services.canAsk(session)) throw keyIsGone();
    return { ...session, podIp };
  }
}

/** The key that the tokens of the session's pod are made from was dropped, or this process is older than the key. */
export const keyIsGone = () =>
  new Problem(409, "The platform does not have the key of this session's pod any more: end the session.");
