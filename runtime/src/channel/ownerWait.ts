/** Delays the answers to pods of warm sessions until the sessions are claimed. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";

export class OwnerWait {
  readonly #waiters = new Map<string, Set<() => void>>();
  #isChecking = false;
  #hasEnded = false;

  /**
   * @param owned returns those of the given sessions that were claimed
   * @param intervalMs milliseconds between two calls of `owned`. The calls are needed because the message about a claim may be
   *   lost. Each call asks about all sessions that wait
   */
  constructor(
    private readonly owned: (ids: string[]) => Promise<string[]>,
    private readonly logger: Logger,
    private readonly intervalMs = 1_000,
  ) {}

  /**
   * Resolves when the session was claimed, when the time is over, when the signal is aborted, or when `end` is
   * called.
   */
  async until(id: string, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#hasEnded || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(resolve));
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(), { once: true });
    // The session may have been claimed just before it was added to the map.
    void this.#check([id]);
    void this.#run();
    await promise;
    clearTimeout(timer);
    waiters.delete(resolve);
    if (waiters.size === 0) this.#waiters.delete(id);
  }

  /** Ends all waits for this session, because the session was claimed. */
  claimed(id: string): void {
    for (const resolve of this.#waiters.get(id) ?? []) resolve();
  }

  /** Ends all waits. From now on, `until` returns at once. */
  end(): void {
    this.#hasEnded = true;
    for (const id of this.#waiters.keys()) this.claimed(id);
  }

  async #run(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    for (;;) {
      await sleep(this.intervalMs, undefined, { ref: false });
      if (this.#waiters.size === 0) break;
      await this.#check([...this.#waiters.keys()]);
    }
    this.#isChecking = false;
  }

  async #check(ids: string[]): Promise<void> {
    try {
      for (const id of await this.owned(ids)) this.claimed(id);
    } catch (error) {
      this.logger.warn({ err: error }, "claims can't be looked up at the moment");
    }
  }
}
