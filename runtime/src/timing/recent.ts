/** Keeps answers for a moment, so that a page with many parts asks the database once. */
export class Recent<T> {
  /** The oldest answers come first. */
  readonly #kept = new Map<string, { at: number; answer: Promise<T> }>();

  constructor(
    private readonly ask: (key: string) => Promise<T>,
    private readonly ms = 1_000,
  ) {}

  /** The number of kept answers is limited only by the number of questions within the moment. Failures are not kept. */
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
