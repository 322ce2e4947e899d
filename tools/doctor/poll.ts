import { setTimeout as sleep } from "node:timers/promises";

/**
 * The result of one call of `attempt` (see `poll`). `done`: the wait is over. `waitsFor`: what is still missing; `because`: why it
 * is missing, or empty.
 */
export type Progress<T> = { done: T } | { waitsFor: string; because: string };

/** Is aborted when the user interrupts the doctor. Waits then end, and the trials delete what they made. */
export const interruption = new AbortController();

/**
 * Calls `attempt` each second until a result has the field `done`, for at most `seconds`. Returns the value of `done`.
 * @param signal ends the wait early. Default: the user's interruption; null for clean-up
 * @param pause milliseconds between two calls of `attempt`
 * @throws Error that says what the last result waited for, and why; after an interruption, an Error with the text
 *   "interrupted"
 */
export async function poll<T>(
  seconds: number,
  attempt: () => Promise<Progress<T>>,
  signal: AbortSignal | null = interruption.signal,
  pause = 1000,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const result = await attempt();
    if ("done" in result) return result.done;
    if (signal?.aborted) throw new Error("interrupted");
    if (performance.now() >= end)
      throw new Error(`${result.waitsFor} after ${seconds} s${result.because && `: ${result.because}`}`);
    await sleep(pause);
  }
}
