/** Records that a session is in use, so that the session does not end as idle. */
import type { Logger } from "pino";
import type { SessionCommands } from "./sessionCommands.ts";

/** One write per session in this many milliseconds is enough, because an idle time-out usually lasts minutes. */
const intervalMs = 15_000;

export class Activity {
  readonly #last = new Map<string, number>();

  constructor(
    private readonly commands: Pick<SessionCommands, "touch">,
    private readonly logger: Logger,
  ) {}

  /** Writes at most once in `intervalMs` per session. Returns immediately. After a failed write, the next call writes again. */
  touch(sessionId: string): void {
    const now = performance.now();
    const last = this.#last.get(sessionId);
    if (last !== undefined && now - last < intervalMs) return;
    this.#forget(now);
    this.#last.delete(sessionId); // so that the session moves to the end of the map
    this.#last.set(sessionId, now);
    this.commands.touch(sessionId).catch((error: unknown) => {
      this.#last.delete(sessionId);
      this.logger.warn({ err: error, sessionId }, "activity could not be recorded");
    });
  }

  /** Removes sessions that were not touched lately. The map holds the least recently touched session first. */
  #forget(now: number): void {
    for (const [sessionId, at] of this.#last) {
      if (now - at < intervalMs) return;
      this.#last.delete(sessionId);
    }
  }
}
