/**
 * Limits how often one session's pod may call: a burst of 20 calls, then one call per second. Each process counts only
 * the calls that it gets, in its memory.
 */
const burst = 20;

interface PodCalls {
  calls: number;
  at: number;
}

export class Limiter {
  readonly #calls = new Map<string, PodCalls>();

  /**
   * If a call is allowed, counts the call and returns 0. Otherwise returns after how many seconds to try again. `now` is
   * in milliseconds.
   */
  take(sessionId: string, now = performance.now()): number {
    const { calls, at } = this.#calls.get(sessionId) ?? { calls: 0, at: now };
    const left = Math.max(0, calls - (now - at) / 1_000);
    if (left > burst - 1) return Math.ceil(left - (burst - 1));
    // The newest entry goes to the end of the map. So the entries whose calls no longer count are at the front.
    this.#calls.delete(sessionId);
    this.#calls.set(sessionId, { calls: left + 1, at: now });
    for (const [id, entry] of this.#calls) {
      if (now - entry.at < burst * 1_000) break;
      this.#calls.delete(id);
    }
    return 0;
  }

  /** The number of sessions whose calls are remembered. */
  get size(): number {
    return this.#calls.size;
  }
}
