/** Answers that hold for a moment: who asks the same within it gets the same, so that a page of many parts asks once. */
export class Recent<T> {
  /** The oldest first. */
  readonly #kept = new Map<string, { at: number; answer: Promise<T> }>();

  constructor(
    private readonly ask: (key: string) => Promise<T>,
    private readonly ms = 1_000,
  ) {}

  /** Memory grows with what is asked within the moment, and failures are not kept. */
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
