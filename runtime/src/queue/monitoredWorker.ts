/**
 * BullMQ's worker says `isRunning` even if its loop hangs. This subclass also records when the loop last made an
 * iteration.
 */
import { Worker } from "bullmq";
import { Heartbeat } from "../timing/heartbeat.ts";

/** Longer than any iteration: an iteration waits some seconds for a job, and a reconcile takes less than a minute. */
const limitMs = 120_000;

export class MonitoredWorker<T> extends Worker<T> {
  readonly #heartbeat = new Heartbeat(limitMs);

  /**
   * Whether the loop makes iterations. Without a connection to Redis the loop can't make any, and a restart would not
   * help, so the method then returns true.
   */
  isAlive(isConnected: boolean): boolean {
    if (!isConnected) this.#heartbeat.beat();
    return this.#heartbeat.isRecent();
  }

  /** BullMQ calls this method in each iteration, before it waits for a job. */
  protected override getBlockTimeout(blockUntil: number): number {
    this.#heartbeat.beat();
    return super.getBlockTimeout(blockUntil);
  }

  /** BullMQ calls this method for each job that it takes. */
  protected override moveToActive(...args: Parameters<Worker<T>["moveToActive"]>) {
    this.#heartbeat.beat();
    return super.moveToActive(...args);
  }
}
