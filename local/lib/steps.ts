/** Progress on the terminal: one line when a step begins, one when it ends, with its duration. */
import { AsyncLocalStorage } from "node:async_hooks";

export { UserError } from "../../machine/userError.ts";

const signals = new AsyncLocalStorage<AbortSignal>();

const never = new AbortController().signal;

/** Aborted when the work that calls it is to end, because something beside it failed. */
export const stopSignal = (): AbortSignal => signals.getStore() ?? never;

/** Runs `work` so that `stopSignal` in it is `signal`. */
export const stoppable = <T>(signal: AbortSignal, work: () => T): T => signals.run(signal, work);

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs `work` and prints the step's name and duration. Returns what `work` returns; a string says what it
 * did, e.g. `"cached"`, and is printed.
 * While it runs longer than 30 seconds, a line every 30 seconds says so.
 */
export async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  console.log(`· ${name}`);
  const ticker = setInterval(() => console.log(`  … ${name} (${seconds(start)})`), 29_000);
  try {
    const note = await work();
    console.log(`✓ ${name}${typeof note === "string" ? `: ${note}` : ""} (${seconds(start)})`);
    return note;
  } catch (error) {
    console.log(stopSignal().aborted ? `– ${name}: stopped (${seconds(start)})` : `✗ ${name} (${seconds(start)})`);
    throw error;
  } finally {
    clearInterval(ticker);
  }
}
