/**
 * Wakes all processes that listen: a message through Redis that contains nothing. A message may be lost, so each listener also
 * looks at intervals whether there is something to do.
 */
import type { Redis } from "ioredis";
import { subscribe } from "./redis.ts";

/** `events`: the audit trail has new events. `planning`: a queued session may start now, see Planner. */
export type BellName = "events" | "planning";

export class Bell {
  #isDue = false;

  constructor(
    private readonly redis: Redis,
    private readonly name: BellName,
  ) {}

  /** Wakes the listeners, in the background. Rings at the same moment make one message. */
  ring(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.redis.publish(this.#channel, "").catch(() => {}); // the listeners also look at intervals
    });
  }

  /** Calls the listener after each ring of any process, until the returned function is called. */
  listen(listener: () => void): () => void {
    return subscribe(this.redis, this.#channel, listener);
  }

  get #channel(): string {
    return `berth:${this.name}`;
  }
}
