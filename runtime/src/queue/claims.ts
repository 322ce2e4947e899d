/**
 * Tells every process at once that a session which was made ahead has an owner now. A message may be lost: who waits looks
 * into the store too.
 */
import type { Redis } from "ioredis";
import type { Logger } from "pino";

const channel = "berth:claimed";

export class Claims {
  constructor(
    private readonly redis: Redis,
    private readonly logger: Logger,
  ) {}

  /** Returns at once. */
  tell(sessionId: string): void {
    this.redis
      .publish(channel, sessionId)
      .catch((error: unknown) =>
        this.logger.warn({ err: error, sessionId }, "a claim could not be told; its pod asks"),
      );
  }

  /** Calls the listener with each session's id, by a connection of its own. Returns what closes that. */
  listen(listener: (sessionId: string) => void): () => void {
    const connection = this.redis.duplicate({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: undefined,
    });
    connection.on("error", () => {}); // the other connection reports it
    connection.on("message", (_channel, sessionId: string) => listener(sessionId));
    connection.subscribe(channel).catch(() => {}); // closed before it was there
    return () => connection.disconnect();
  }
}
