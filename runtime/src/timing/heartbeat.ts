/** Records when a loop last began an iteration, whether or not the iteration succeeds. */
export class Heartbeat {
  #at = performance.now();

  /**
   * @param limitMs a loop that does not call `beat` for this many milliseconds is stuck. The limit must exceed the time of
   * any iteration
   */
  constructor(private readonly limitMs: number) {}

  /** The loop has to call this in every iteration. */
  beat(): void {
    this.#at = performance.now();
  }

  isRecent(): boolean {
    return performance.now() - this.#at < this.limitMs;
  }
}
