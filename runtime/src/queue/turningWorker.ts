/** BullMQ's worker, which says `isRunning` also when its loop hangs: this one tells when the loop last turned. */
import { Worker } from "bullmq";
import { LastTurn } from "../timing/lastTurn.ts";

/** A turn waits for a job for some seconds, and a look is over within a minute. */
const limitMs = 120_000;

export class TurningWorker<T> extends Worker<T> {
  readonly #lastTurn = new LastTurn(limitMs);

  /** Whether the loop turns. `isConnected`: without Redis it can't, and a restart wouldn't help. */
  isTurning(isConnected: boolean): boolean {
    if (!isConnected) this.#lastTurn.now();
    return this.#lastTurn.isRecent();
  }

  /** Called in each turn, before it waits. */
  protected override getBlockTimeout(blockUntil: number): number {
    this.#lastTurn.now();
    return super.getBlockTimeout(blockUntil);
  }

  /** And for each job that is taken. */
  protected override moveToActive(...args: Parameters<Worker<T>["moveToActive"]>) {
    this.#lastTurn.now();
    return super.moveToActive(...args);
  }
}
