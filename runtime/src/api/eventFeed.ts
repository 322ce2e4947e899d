/** Reads new events for all listeners of this process, with one reader of the audit trail. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type EventJson, toEventJson } from "../domain/event.ts";
import type { Bell } from "../queue/bell.ts";
import { type AuditTrail, horizonPollMs } from "../store/auditTrail.ts";
import { follow, past, type Whose } from "./follow.ts";

/** After how many milliseconds the audit trail is read again if no message says that there are new events. */
const quietMs = 2_000;

/** How many events are read at once. */
const pageSize = 500;

export interface EventFeedOptions {
  trail: Pick<AuditTrail, "newestId" | "horizon" | "ofAll" | "ofTenant">;
  bell: Pick<Bell, "listen">;
  logger: Pick<Logger, "warn">;
  /** After how many milliseconds without a message the audit trail is read again. Default: 2000. */
  quietMs?: number;
}

export class EventFeed {
  readonly #listeners = new Set<(event: EventJson) => void>();
  /** The id of the last event that was read; undefined while there are no listeners. */
  #position: Promise<string> | undefined;

  constructor(private readonly options: EventFeedOptions) {}

  /**
   * Calls the listener with every new event, in order, until the signal aborts. `position` is the id of an event. The
   * caller can read all events up to this one from the audit trail. The listener gets all later events, and may also get
   * some earlier ones.
   */
  async listen(listener: (event: EventJson) => void, signal: AbortSignal): Promise<{ position: string }> {
    signal.throwIfAborted();
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
    this.#position ??= this.#start();
    return { position: await this.#position };
  }

  /** The events that exist now, without those up to the event `after`; see follow.ts. */
  async *past(whose: Whose, after: string): AsyncGenerator<EventJson> {
    const { trail } = this.options;
    yield* past(trail, whose, after, await trail.newestId());
  }

  /** See follow.ts. */
  follow(
    whose: Whose,
    after: string | undefined,
    signal: AbortSignal,
    quietMs: number,
  ): AsyncGenerator<EventJson | null> {
    return follow({ trail: this.options.trail, feed: this }, whose, after, signal, quietMs);
  }

  async #start(): Promise<string> {
    try {
      const position = await this.options.trail.newestId();
      void this.#run(position);
      return position;
    } catch (error) {
      this.#position = undefined;
      throw error;
    }
  }

  /** Runs until there are no listeners. */
  async #run(start: string): Promise<void> {
    const { trail, bell, logger } = this.options;
    let isRung = false;
    let wake = () => {};
    const stopListening = bell.listen(() => {
      isRung = true;
      wake();
    });
    const horizon = trail.horizon(start);
    let position = start;
    let isSoon = true;
    for (;;) {
      const pause = new AbortController();
      wake = () => pause.abort();
      // This pause is made after a ring too, so that many rings don't cause as many queries.
      await sleep(horizonPollMs);
      if (!isRung && !isSoon) {
        await sleep(this.options.quietMs ?? quietMs, undefined, { signal: pause.signal }).catch(() => {});
      }
      isRung = false;
      if (this.#listeners.size === 0) break;
      try {
        const { newest, settled } = await horizon.advance();
        const events = settled > BigInt(position) ? await trail.ofAll(position, pageSize, String(settled)) : [];
        const isAll = events.length < pageSize;
        isSoon = !isAll || settled < newest;
        position = isAll && settled > BigInt(position) ? String(settled) : (events.at(-1)?.id ?? position);
        this.#position = Promise.resolve(position);
        for (const event of events) {
          const json = toEventJson(event, event.tenant);
          for (const listener of this.#listeners) listener(json);
        }
      } catch (error) {
        isSoon = false;
        logger.warn({ err: error }, "events can't be read at the moment");
      }
    }
    stopListening();
    this.#position = undefined;
  }
}
