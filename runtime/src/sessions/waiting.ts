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
    private readonly streams: Streams,
  ) {}

  /** The session once it runs, or will not, or after 60 s; sooner if the caller leaves or the process ends. */
  async forRunning(session: Session, reply: FastifyReply): Promise<Session> {
    const signal = AbortSignal.any([this.streams.open(session.tenant, reply), AbortSignal.timeout(patienceMs)]);
    const whose = { tenant: session.tenant, sessionId: session.id };
    for await (const event of this.feed.follow(whose, "0", signal, patienceMs)) {
      // What was in the past, the session's version tells.
      if (event !== null && event.version >= session.version && !onTheWay.includes(event.state)) break;
    }
    return (await this.store.find(session.id, session.tenant)) ?? session;
  }
}
