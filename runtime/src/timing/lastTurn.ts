/** When a loop last began a turn, whatever the turn came to. */
export class LastTurn {
  #at = performance.now();

  /** @param limitMs without a turn for so long the loop is stuck: more than any turn takes */
  constructor(private readonly limitMs: number) {}

  /** To be called in every turn. */
  now(): void {
    this.#at = performance.now();
  }

  isRecent(): boolean {
    return performance.now() - this.#at < this.limitMs;
  }
}
