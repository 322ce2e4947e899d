/** Waits for a session to run. */
import type { FastifyReply } from "fastify";
import type { Streams } from "../api/streams.ts";
import type { EventFeed } from "../events/eventFeed.ts";
import type { Session } from "./session.ts";
import type { SessionStore } from "./sessionStore.ts";
import type { State } from "./state.ts";

const patienceMs = 60_000;

/** States on the way to running; in any other there is nothing to wait for. */
const onTheWay: State[] = ["queued", "starting"];

export class Waiting {
  constructor(
    private readonly store: Pick<SessionStore, "find">,
    private readonly feed: Pick<EventFeed, "follow">,
    private readonly streams: Pick<Streams, "open">,
  ) {}

  /**
   * Takes a place among the tenant's long answers, or throws a 429: before anything is made that one would wait for. What
   * it returns gives the session once it runs, or will not, or after 60 s; sooner if the caller leaves or the process ends.
   */
  forRunning(tenant: string, reply: FastifyReply): (session: Session) => Promise<Session> {
    const ended = this.streams.open(tenant, reply);
    return async (session) => {
      if (!onTheWay.includes(session.state)) return session;
      const signal = AbortSignal.any([ended, AbortSignal.timeout(patienceMs)]);
      const whose = { tenant, sessionId: session.id };
      for await (const event of this.feed.follow(whose, "0", signal, patienceMs)) {
        // What was in the past, the session's version tells.
        if (event !== null && event.version >= session.version && !onTheWay.includes(event.state)) break;
      }
      return (await this.store.find(session.id, tenant)) ?? session;
    };
  }
}
