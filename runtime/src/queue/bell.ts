/**
 * Wakes all processes that listen: a message through Redis that contains nothing. A message may be lost, so each listener also
 * polls: at intervals, it checks whether there is something to do.
 */
import type { Redis } from "ioredis";
import { subscribe } from "./redis.ts";

/** All rings within this many milliseconds after a message make one message, because each message costs much time. */
const togetherMs = 10;

/** `events`: the audit trail has new events. `planning`: a queued session may start now, see Planner. */
export type BellName = "events" | "planning";

export class Bell {
  #isDue = false;
  /** When the last message was sent, by the clock of `performance`. */
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly redis: Redis,
    private readonly name: BellName,
  ) {}

  /** Wakes the listeners in the background: at once, or `togetherMs` after the last message. */
  ring(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const send = () => {
      this.#isDue = false;
      this.#sentAt = performance.now();
      this.redis.publish(this.#channel, "").catch(() => {}); // the listeners also poll
    };
    const wait = this.#sentAt + togetherMs - performance.now();
    if (wait > 0) setTimeout(send, wait);
    else setImmediate(send);
  }

  /** Calls the listener after each message of any process, until the returned function is called. */
  listen(listener: () => void): () => void {
    return subscribe(this.redis, this.#channel, listener);
  }

  get #channel(): string {
    return `berth:${this.name}`;
  }
}
