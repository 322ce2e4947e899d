/**
 * How each webhook's receiver has answered this process lately, and so how many deliveries it may have under way at the same
 * time: what one receiver takes up is not taken from the others. Keeps an entry for each URL that is busy or fails.
 */

/** Deliveries to one URL that are under way at the same time. */
const perUrl = 4;

/** After so many failures in a row the receiver counts as dead: for the pause nothing is sent to it, then one delivery. */
const deadAfter = 3;
const pauseMs = 30_000;

interface Receiver {
  running: number;
  /** In a row. */
  failures: number;
  /** Nothing is sent before then, by the clock. */
  pausedUntil: number;
}

export class Receivers {
  readonly #receivers = new Map<string, Receiver>();

  /** @param clock milliseconds, never going back. Default: performance.now */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** How many deliveries a URL may get that `limits` does not name. */
  get usual(): number {
    return perUrl;
  }

  /** How many more deliveries these URLs may get now; a paused one has none, and one that failed last is sent one at a time. */
  limits(): Map<string, number> {
    const now = this.clock();
    return new Map(
      [...this.#receivers].map(([url, { running, failures, pausedUntil }]) => {
        const most = now < pausedUntil ? 0 : failures > 0 ? 1 : perUrl;
        return [url, Math.max(0, most - running)];
      }),
    );
  }

  /** The URLs to which nothing is sent now, because their receivers count as dead. */
  paused(): string[] {
    const now = this.clock();
    return [...this.#receivers].filter(([, { pausedUntil }]) => now < pausedUntil).map(([url]) => url);
  }

  begin(url: string): void {
    const receiver = this.#receivers.get(url) ?? { running: 0, failures: 0, pausedUntil: 0 };
    this.#receivers.set(url, { ...receiver, running: receiver.running + 1 });
  }

  /** `isAlive`: the receiver took the delivery, or said at least that it does not want it; undefined: it was not asked. */
  end(url: string, isAlive: boolean | undefined): void {
    const receiver = this.#receivers.get(url);
    if (receiver === undefined) return;
    const running = receiver.running - 1;
    const failures = isAlive === undefined ? receiver.failures : isAlive ? 0 : receiver.failures + 1;
    if (running === 0 && failures === 0) this.#receivers.delete(url);
    else {
      const pausedUntil =
        isAlive === false && failures >= deadAfter ? this.clock() + pauseMs : failures === 0 ? 0 : receiver.pausedUntil;
      this.#receivers.set(url, { running, failures, pausedUntil });
    }
  }
}
