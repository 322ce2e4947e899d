/** What happens from now on, for everyone in this process who listens: one reader of the audit trail for all of them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type EventJson, toEventJson } from "../domain/event.ts";
import type { AuditTrail } from "../store/auditTrail.ts";
import { follow, past, type Whose } from "./follow.ts";

/** Milliseconds between two looks into the audit trail, while somebody listens. */
const intervalMs = 200;

/** Events read at once. */
const pageSize = 500;

export class EventFeed {
  readonly #listeners = new Set<(event: EventJson) => void>();
  /** The last event that has been read; undefined while nobody listens. */
  #position: Promise<string> | undefined;

  constructor(
    private readonly trail: AuditTrail,
    private readonly logger: Logger,
  ) {}

  /**
   * Calls the listener with everything that happens, in order, until the signal. What is up to `position` is in the store;
   * what comes after it, the listener is called with, and perhaps with some of before too.
   */
  async listen(listener: (event: EventJson) => void, signal: AbortSignal): Promise<{ position: string }> {
    signal.throwIfAborted();
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
    this.#position ??= this.#start();
    return { position: await this.#position };
  }

  /** See follow.ts. */
  past(whose: Whose, after: string): AsyncGenerator<EventJson> {
    return past(this.trail, whose, after);
  }

  /** See follow.ts. */
  follow(
    whose: Whose,
    after: string | undefined,
    signal: AbortSignal,
    quietMs: number,
  ): AsyncGenerator<EventJson | null> {
    return follow({ trail: this.trail, feed: this }, whose, after, signal, quietMs);
  }

  async #start(): Promise<string> {
    try {
      const position = await this.trail.newestId();
      void this.#run(position);
      return position;
    } catch (error) {
      this.#position = undefined;
      throw error;
    }
  }

  /** Until nobody listens any more. */
  async #run(start: string): Promise<void> {
    let position = start;
    for (;;) {
      await sleep(intervalMs);
      if (this.#listeners.size === 0) break;
      try {
        const events = await this.trail.ofAll(position, pageSize);
        position = events.at(-1)?.id ?? position;
        this.#position = Promise.resolve(position);
        for (const event of events) {
          const json = toEventJson(event, event.tenant);
          for (const listener of this.#listeners) listener(json);
        }
      } catch (error) {
        this.logger.warn({ err: error }, "events can't be read at the moment");
      }
    }
    this.#position = undefined;
  }
}
