/** Records when a loop last began an iteration, whether or not the iteration succeeds. */
export class Heartbeat {
  #at = performance.now();

  /** @param limitMs a loop that makes no iteration for this time is stuck; longer than any iteration takes */
  constructor(private readonly limitMs: number) {}

  /** The loop has to call this in every iteration. */
  beat(): void {
    this.#at = performance.now();
  }

  isRecent(): boolean {
    return performance.now() - this.#at < this.limitMs;
  }
}
