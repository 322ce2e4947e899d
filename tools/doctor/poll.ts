import { setTimeout as sleep } from "node:timers/promises";

/** What a look at something that takes time has found. `because` may be empty. */
export type Look<T> = { done: T } | { waitsFor: string; because: string };

/** Is aborted when the user interrupts the doctor. Waits then end, and the trials delete what they made. */
export const interruption = new AbortController();

/**
 * Looks each second until the look is done.
 * @param signal ends the wait early. Default: the user's interruption; null for clean-up
 * @param pause milliseconds between two looks
 * @throws Error with what the last look waited for, and why
 */
export async function poll<T>(
  seconds: number,
  look: () => Promise<Look<T>>,
  signal: AbortSignal | null = interruption.signal,
  pause = 1000,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if ("done" in seen) return seen.done;
    if (signal?.aborted) throw new Error("interrupted");
    if (performance.now() >= end)
      throw new Error(`${seen.waitsFor} after ${seconds} s${seen.because && `: ${seen.because}`}`);
    await sleep(pause);
  }
}
