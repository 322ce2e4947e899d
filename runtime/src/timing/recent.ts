/** Keeps answers for a moment, so that, for example, the many requests of one web page cause only one query. */
export class Recent<T> {
  /** The oldest answers come first. */
  readonly #kept = new Map<string, { at: number; answer: Promise<T> }>();

  constructor(
    private readonly ask: (key: string) => Promise<T>,
    private readonly ms = 1_000,
  ) {}

  /**
   * Returns the kept answer for the key, or asks for a new one. All answers of the last `ms` milliseconds are kept; their
   * number has no limit. Failures are not kept.
   */
  get(key: string): Promise<T> {
    const now = performance.now();
    for (const [old, { at }] of this.#kept) {
      if (now - at < this.ms) break;
      this.#kept.delete(old);
    }
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept.answer;
    const answer = this.ask(key);
    this.#kept.set(key, { at: now, answer });
    answer.catch(() => this.#kept.delete(key));
    return answer;
  }
}
