/** Enqueues every session that isn't final, again and again: what was lost on the way costs at most one turn. */
import { setTimeout as sleep } from "node:timers/promises";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { SessionStore } from "../sessions/sessionStore.ts";

export class Sweep implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #abort = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #lastTurn = performance.now();

  constructor(
    private readonly store: Pick<SessionStore, "unfinished">,
    private readonly queue: Pick<SessionQueue, "add">,
    private readonly logger: Logger,
    /** Milliseconds between two turns, give or take a tenth. Default 15 000. */
    private readonly intervalMs = 15_000,
  ) {}

  onApplicationBootstrap(): void {
    this.#done = this.#run();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  /** Whether the loop still turns, whatever its turns come to: a stuck loop means that the process is to be restarted. */
  isTurning(): boolean {
    return performance.now() - this.#lastTurn < 60_000 + 4 * this.intervalMs;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#lastTurn = performance.now();
      try {
        const ids = await this.store.unfinished();
        for (const id of ids) {
          if (signal.aborted) return;
          await this.queue.add(id);
          this.#lastTurn = performance.now();
        }
      } catch (error) {
        this.logger.warn({ err: error }, "sweep failed; the next one is soon");
      }
      await sleep(this.intervalMs * (0.9 + 0.2 * Math.random()), undefined, { signal }).catch(() => {});
    }
  }
}
