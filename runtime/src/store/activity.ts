/** Notes that somebody uses a session, so that it doesn't end as idle. */
import type { Logger } from "pino";
import type { SessionCommands } from "./sessionCommands.ts";

/** A session is touched no more often than this: idle time-outs are minutes, and a key press is no reason for a write. */
const intervalMs = 15_000;

export class Activity {
  readonly #last = new Map<string, number>();

  constructor(
    private readonly commands: Pick<SessionCommands, "touch">,
    private readonly logger: Logger,
  ) {}

  /** Returns at once; what goes wrong is logged, and made up for by the next touch. */
  touch(sessionId: string): void {
    const now = performance.now();
    const last = this.#last.get(sessionId);
    if (last !== undefined && now - last < intervalMs) return;
    this.#forget(now);
    this.#last.delete(sessionId); // so that it becomes the latest
    this.#last.set(sessionId, now);
    this.commands.touch(sessionId).catch((error: unknown) => {
      this.#last.delete(sessionId);
      this.logger.warn({ err: error, sessionId }, "activity could not be noted");
    });
  }

  /** The oldest come first; sessions that nobody touches any more don't stay in memory. */
  #forget(now: number): void {
    for (const [sessionId, at] of this.#last) {
      if (now - at < intervalMs) return;
      this.#last.delete(sessionId);
    }
  }
}
