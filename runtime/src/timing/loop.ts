/** Something that is done again and again for as long as the process lives. */
import { setTimeout as sleep } from "node:timers/promises";
import { LastTurn } from "./lastTurn.ts";

export class Loop {
  readonly #abort = new AbortController();
  readonly #lastTurn: LastTurn;
  /** Ends the pause between two turns. */
  #pause = new AbortController();
  #isWoken = false;
  #done: Promise<void> = Promise.resolve();

  /**
   * @param turn does one turn and says how long the next is waited for, in milliseconds. Must not throw.
   * @param limitMs without a sign of life for so long it is stuck, and the process is to be restarted. Default 2 minutes
   */
  constructor(
    private readonly turn: () => Promise<number>,
    limitMs = 120_000,
  ) {
    this.#lastTurn = new LastTurn(limitMs);
  }

  /** Aborted once the loop is to end: a turn that takes long looks at it. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Lets the turn that runs come to its end. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.wake();
    await this.#done;
  }

  /** The next turn begins at once, or, if one is under way, as soon as that has ended. */
  wake(): void {
    this.#isWoken = true;
    this.#pause.abort();
  }

  /** To be called between the steps of a turn that takes long. */
  alive(): void {
    this.#lastTurn.now();
  }

  /** Whether it still turns, whatever its turns come to. */
  isTurning(): boolean {
    return this.#lastTurn.isRecent();
  }

  async #run(): Promise<void> {
    while (!this.signal.aborted) {
      this.alive();
      this.#isWoken = false;
      const pause = await this.turn();
      if (pause <= 0 || this.#isWoken) continue;
      this.#pause = new AbortController();
      await sleep(pause, undefined, { signal: this.#pause.signal }).catch(() => {});
    }
  }
}

/** The time, give or take a tenth, so that processes which began together don't stay in step. */
export const jittered = (milliseconds: number): number => milliseconds * (0.9 + 0.2 * Math.random());
