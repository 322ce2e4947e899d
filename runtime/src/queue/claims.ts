/**
 * Tells all processes that a user has claimed a warm session: the process that delays the answer to the session's pod, and
 * the worker that fills the pools. A message may be lost, so these processes also ask Postgres at intervals.
 */
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { subscribe } from "./redis.ts";

const channel = "berth:claimed";

export class Claims {
  constructor(
    private readonly redis: Redis,
    private readonly logger: Logger,
  ) {}

  /** Publishes the claim in the background. */
  publish(sessionId: string): void {
    this.redis
      .publish(channel, sessionId)
      .catch((error: unknown) =>
        this.logger.warn({ err: error, sessionId }, "a claim could not be published; the pod's process polls for it"),
      );
  }

  /**
   * Calls the listener with the id of each claimed session. Uses its own connection, which the returned function
   * closes.
   */
  listen(listener: (sessionId: string) => void): () => void {
    return subscribe(this.redis, channel, listener);
  }
}
