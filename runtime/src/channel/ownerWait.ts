/** Holds the questions of pods that were made ahead until their session has an owner. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";

/** Milliseconds between two looks into the store, one for all who wait: for claims that nobody told of. */
const intervalMs = 1_000;

export class OwnerWait {
  readonly #waiting = new Map<string, Set<() => void>>();
  #isLooking = false;
  #hasEnded = false;

  /** @param owned which of these sessions are not waiting for an owner any more */
  constructor(
    private readonly owned: (ids: string[]) => Promise<string[]>,
    private readonly logger: Logger,
  ) {}

  /** Resolves once the session has an owner, after the time, or when the signal or `end` says so. */
  async until(id: string, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#hasEnded || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiters = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiters.add(resolve));
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(), { once: true });
    // It may have been claimed just before it was in the map.
    void this.#look([id]);
    void this.#run();
    await promise;
    clearTimeout(timer);
    waiters.delete(resolve);
    if (waiters.size === 0) this.#waiting.delete(id);
  }

  /** Somebody owns the session now. */
  claimed(id: string): void {
    for (const resolve of this.#waiting.get(id) ?? []) resolve();
  }

  /** Lets all go, and those who come later too. */
  end(): void {
    this.#hasEnded = true;
    for (const id of this.#waiting.keys()) this.claimed(id);
  }

  async #run(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    for (;;) {
      await sleep(intervalMs, undefined, { ref: false });
      if (this.#waiting.size === 0) break;
      await this.#look([...this.#waiting.keys()]);
    }
    this.#isLooking = false;
  }

  async #look(ids: string[]): Promise<void> {
    try {
      for (const id of await this.owned(ids)) this.claimed(id);
    } catch (error) {
      this.logger.warn({ err: error }, "claims can't be looked up at the moment");
    }
  }
}
