/**
 * Limits how many deliveries each webhook's receiver gets at the same time. The limit depends on the receiver's last answers
 * to this process: it rises while the receiver works, and falls when the receiver fails. So a fast receiver gets many
 * deliveries per second, and a slow receiver does not delay the others. This process keeps an entry in memory for each URL
 * with running or recent deliveries, or with failures.
 */

/** How many deliveries to one URL may run at the same time, before the receiver has answered. */
const perUrl = 4;

/** Each good answer raises the limit by `perAnswer`, up to `mostPerUrl`: a quarter of the attempts that may run in a process. */
const [perAnswer, mostPerUrl] = [1, 25];

/**
 * A receiver counts as dead after this many failures in a row. It then gets nothing during the pause. After the pause, it
 * gets one delivery at a time until it gives a good answer.
 */
const deadAfter = 3;
const pauseMs = 30_000;

/** A receiver that works, but has got no delivery for this time, counts as a new one. */
const forgottenMs = 60_000;

interface Receiver {
  running: number;
  /** How many may run at the same time. */
  most: number;
  /** Failures in a row. */
  failures: number;
  /** Until `clock` returns this time, the receiver gets no deliveries. */
  pausedUntil: number;
  /** When the last delivery ended, by `clock`. */
  endedAt: number;
}

export class Receivers {
  readonly #receivers = new Map<string, Receiver>();

  /** @param clock a monotonic clock in milliseconds. Default: performance.now */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** How many deliveries a URL may get if the URL is not in `limits`. */
  get usual(): number {
    return perUrl;
  }

  /**
   * How many more deliveries these URLs may get now: 0 for a paused URL, and 1 at a time for a URL whose last delivery
   * failed.
   */
  limits(): Map<string, number> {
    const now = this.clock();
    for (const [url, { running, failures, endedAt }] of this.#receivers) {
      if (running === 0 && failures === 0 && now - endedAt > forgottenMs) this.#receivers.delete(url);
    }
    return new Map(
      [...this.#receivers].map(([url, { running, most, failures, pausedUntil }]) => {
        const allowed = now < pausedUntil ? 0 : failures > 0 ? 1 : most;
        return [url, Math.max(0, allowed - running)];
      }),
    );
  }

  /** The URLs that get nothing now, because their receivers count as dead. */
  paused(): string[] {
    const now = this.clock();
    return [...this.#receivers].filter(([, { pausedUntil }]) => now < pausedUntil).map(([url]) => url);
  }

  begin(url: string): void {
    const receiver = this.#receivers.get(url) ?? { running: 0, most: perUrl, failures: 0, pausedUntil: 0, endedAt: 0 };
    this.#receivers.set(url, { ...receiver, running: receiver.running + 1 });
  }

  /** Notes that a delivery ended. `isAlive`: whether the receiver gave a good answer (not 429 or 5xx); undefined: no attempt. */
  end(url: string, isAlive: boolean | undefined): void {
    const receiver = this.#receivers.get(url);
    if (receiver === undefined) return;
    const running = receiver.running - 1;
    const failures = isAlive === undefined ? receiver.failures : isAlive ? 0 : receiver.failures + 1;
    const now = this.clock();
    const pausedUntil =
      isAlive === false && failures >= deadAfter ? now + pauseMs : failures === 0 ? 0 : receiver.pausedUntil;
    const most = isAlive === undefined ? receiver.most : isAlive ? receiver.most + perAnswer : perUrl;
    this.#receivers.set(url, { running, most: Math.min(most, mostPerUrl), failures, pausedUntil, endedAt: now });
  }
}
