/** How often one session's pod may call: so many calls at once, and then one per second. In this process's memory. */
const burst = 20;

interface Bucket {
  calls: number;
  at: number;
}

export class Limiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Counts a call; returns after how many seconds to come again if it is one too many, else 0. `now` is in milliseconds. */
  take(sessionId: string, now = performance.now()): number {
    const { calls, at } = this.#buckets.get(sessionId) ?? { calls: 0, at: now };
    const left = Math.max(0, calls - (now - at) / 1_000);
    if (left > burst - 1) return Math.ceil(left - (burst - 1));
    // The newest goes to the end, so that the oldest, which have emptied long ago, are found at the front.
    this.#buckets.delete(sessionId);
    this.#buckets.set(sessionId, { calls: left + 1, at: now });
    for (const [id, bucket] of this.#buckets) {
      if (now - bucket.at < burst * 1_000) break;
      this.#buckets.delete(id);
    }
    return 0;
  }

  /** Of how many sessions calls are remembered. */
  get size(): number {
    return this.#buckets.size;
  }
}
