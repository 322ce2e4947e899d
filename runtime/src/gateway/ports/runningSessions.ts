/** Finds the sessions whose ports are requested, if they are running. */
import { Problem } from "../../api/http/problem.ts";
import type { RunningSession } from "../../api/sessionPods.ts";
import type { Session } from "../../domain/session.ts";
import { isEnding } from "../../domain/states/state.ts";
import type { SessionQueries } from "../../store/sessionQueries.ts";
import { Recent } from "../../timing/recent.ts";

export class RunningSessions {
  readonly #recent: Recent<Session | undefined>;

  constructor(queries: Pick<SessionQueries, "find">) {
    this.#recent = new Recent((key) => {
      const [tenant = "", id = ""] = key.split("/");
      return queries.find(id, tenant);
    });
  }

  /**
   * The session as it is now, or as it was at most a second ago. Throws a Problem: 404 if there is no such session,
   * or if the session is stopping or has ended; 503 if the session is queued, starting, suspending or suspended.
   */
  async get(tenant: string, id: string): Promise<RunningSession> {
    const session = await this.#recent.get(`${tenant}/${id}`);
    if (session === undefined) throw new Problem(404, `There is no session ${id}.`);
    const { state, podIp } = session;
    if (state === "running" && podIp !== null) return { ...session, podIp };
    if (isEnding(state)) throw new Problem(404, `The session is ${state}; its ports are gone.`);
    const hint = state === "suspended" || state === "suspending" ? "Resume it." : "Please wait until it runs.";
    throw new Problem(503, `The session is ${state}. ${hint}`, undefined, 3);
  }
}
