/** Waits until a session runs. */
import type { FastifyReply } from "fastify";
import type { Session } from "../domain/session.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { EventFeed } from "./eventFeed.ts";
import type { Streams } from "./http/streams.ts";

const patienceMs = 60_000;

/** Whether the session will run without a further request. A suspending session that was resumed will run too. */
const isOnItsWay = ({ state, resumes }: Session): boolean =>
  state === "queued" || state === "starting" || (state === "suspending" && resumes);

export class WaitForRunning {
  constructor(
    private readonly queries: Pick<SessionQueries, "find">,
    private readonly feed: Pick<EventFeed, "follow">,
    private readonly streams: Pick<Streams, "open">,
  ) {}

  /**
   * Counts the wait as one of the tenant's streams. Throws a 429 if the tenant has too many streams, so `begin` must be called
   * before a session is created. The returned function resolves with the session when the session runs or can't run any more,
   * or after 60 s; earlier if the caller disconnects or the process ends.
   */
  begin(tenant: string, reply: FastifyReply): (session: Session) => Promise<Session> {
    const ended = this.streams.open(tenant, reply);
    return async (session) => {
      let latest = session;
      if (!isOnItsWay(latest)) return latest;
      const signal = AbortSignal.any([ended, AbortSignal.timeout(patienceMs)]);
      const whose = { tenant, sessionId: session.id };
      for await (const event of this.feed.follow(whose, "0", signal, patienceMs)) {
        // The feed may begin with past events. An event that is older than the known version does not matter.
        if (event === null || event.version < latest.version) continue;
        latest = (await this.queries.find(session.id, tenant)) ?? latest;
        if (!isOnItsWay(latest)) return latest;
      }
      return (await this.queries.find(session.id, tenant)) ?? latest;
    };
  }
}
