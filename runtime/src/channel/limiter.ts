/**
 * Limits how often one session's pod may call: a burst of 20 calls, then one call per second. Each process counts only
 * the calls that it gets, in its memory.
 */
const burst = 20;

interface Bucket {
  calls: number;
  at: number;
}

export class Limiter {
  readonly #buckets = new Map<string, Bucket>();

  /**
   * If a call is allowed, counts the call and returns 0. Otherwise returns after how many seconds to try again. `now` is
   * in milliseconds.
   */
  take(sessionId: string, now = performance.now()): number {
    const { calls, at } = this.#buckets.get(sessionId) ?? { calls: 0, at: now };
    const left = Math.max(0, calls - (now - at) / 1_000);
    if (left > burst - 1) return Math.ceil(left - (burst - 1));
    // The newest bucket goes to the end of the map. So the buckets that are so old that they are empty are at the front.
    this.#buckets.delete(sessionId);
    this.#buckets.set(sessionId, { calls: left + 1, at: now });
    for (const [id, bucket] of this.#buckets) {
      if (now - bucket.at < burst * 1_000) break;
      this.#buckets.delete(id);
    }
    return 0;
  }

  /** The number of sessions whose calls are remembered. */
  get size(): number {
    return this.#buckets.size;
  }
}
