/**
 * Tells the readers of the audit trail, in all processes, that there are new events. The messages contain nothing else.
 * A message may be lost, so each reader also looks for new events at intervals.
 */
import type { Redis } from "ioredis";
import { subscribe } from "./redis.ts";

const channel = "berth:events";

export class EventBell {
  #isDue = false;

  constructor(private readonly redis: Redis) {}

  /** Wakes the readers, in the background. Events that are written at the same moment make one message. */
  ring(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.redis.publish(channel, "").catch(() => {}); // the readers also look for new events at intervals
    });
  }

  /** Calls the listener after each ring of any process, until the returned function is called. */
  listen(listener: () => void): () => void {
    return subscribe(this.redis, channel, listener);
  }
}
