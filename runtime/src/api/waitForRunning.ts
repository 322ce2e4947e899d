/** Waits for a session to run. */
import type { FastifyReply } from "fastify";
import type { Session } from "../domain/session.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { EventFeed } from "./eventFeed.ts";
import type { Streams } from "./http/streams.ts";

const patienceMs = 60_000;

/** Whether the session is on its way to running: also one that was resumed while it was being suspended. */
const isOnItsWay = ({ state, resumes }: Session): boolean =>
  state === "queued" || state === "starting" || (state === "suspending" && resumes);

export class WaitForRunning {
  constructor(
    private readonly queries: Pick<SessionQueries, "find">,
    private readonly feed: Pick<EventFeed, "follow">,
    private readonly streams: Pick<Streams, "open">,
  ) {}

  /**
   * Takes a place among the tenant's long answers, or throws a 429: before anything is made that one would wait for. What
   * it returns gives the session once it runs, or will not, or after 60 s; sooner if the caller leaves or the process ends.
   */
  begin(tenant: string, reply: FastifyReply): (session: Session) => Promise<Session> {
    const ended = this.streams.open(tenant, reply);
    return async (session) => {
      let latest = session;
      if (!isOnItsWay(latest)) return latest;
      const signal = AbortSignal.any([ended, AbortSignal.timeout(patienceMs)]);
      const whose = { tenant, sessionId: session.id };
      for await (const event of this.feed.follow(whose, "0", signal, patienceMs)) {
        // The feed begins in the past: only an event that is newer than what was seen brings news.
        if (event === null || event.version < latest.version) continue;
        latest = (await this.queries.find(session.id, tenant)) ?? latest;
        if (!isOnItsWay(latest)) return latest;
      }
      return (await this.queries.find(session.id, tenant)) ?? latest;
    };
  }
}
