/** Repeats some work for as long as the process lives. */
import { setTimeout as sleep } from "node:timers/promises";
import { Heartbeat } from "./heartbeat.ts";

export class Loop {
  readonly #abort = new AbortController();
  readonly #heartbeat: Heartbeat;
  /** Aborting this controller ends the wait between two iterations early. It does not stop the loop. */
  #pause = new AbortController();
  #isWoken = false;
  #done: Promise<void> = Promise.resolve();

  /**
   * @param iterate does one iteration and returns how many milliseconds to wait before the next one. Must not throw
   * @param limitMs a loop that does not call `beat` for this many milliseconds is stuck, and the process should be restarted.
   * Default: 2 minutes
   */
  constructor(
    private readonly iterate: () => Promise<number>,
    limitMs = 120_000,
  ) {
    this.#heartbeat = new Heartbeat(limitMs);
  }

  /** Aborted when the loop has to stop. An iteration that takes long has to check this signal. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Stops the loop after the present iteration has finished. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.wake();
    await this.#done;
  }

  /** Starts the next iteration immediately, or, if an iteration is running, as soon as that one has finished. */
  wake(): void {
    this.#isWoken = true;
    this.#pause.abort();
  }

  /** An iteration that takes long has to call this between its steps. */
  beat(): void {
    this.#heartbeat.beat();
  }

  /** Whether the loop has called `beat` within the limit. An iteration that fails counts too. */
  isAlive(): boolean {
    return this.#heartbeat.isRecent();
  }

  async #run(): Promise<void> {
    while (!this.signal.aborted) {
      this.beat();
      this.#isWoken = false;
      const pause = await this.iterate();
      if (pause <= 0 || this.#isWoken) continue;
      this.#pause = new AbortController();
      await sleep(pause, undefined, { signal: this.#pause.signal }).catch(() => {});
    }
  }
}

/**
 * The time plus or minus a tenth, so that processes that started together don't do the same work at the same moment.
 */
export const jittered = (milliseconds: number): number => milliseconds * (0.9 + 0.2 * Math.random());
