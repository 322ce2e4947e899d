/** Prints progress on the terminal: one line when a step begins, and one line with the duration when the step ends. */
import { AsyncLocalStorage } from "node:async_hooks";

export { UserError } from "../../machine/userError.ts";

const signals = new AsyncLocalStorage<AbortSignal>();

const never = new AbortController().signal;

/** The signal of the running task. The signal is aborted when the task must end because another task failed. */
export const stopSignal = (): AbortSignal => signals.getStore() ?? never;

/** Runs `work`. Inside `work`, `stopSignal` returns `signal`. */
export const stoppable = <T>(signal: AbortSignal, work: () => T): T => signals.run(signal, work);

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs `work` and prints the step's name and duration. Returns the result of `work`. If the result is a string, for example
 * `"cached"`, it is printed too. At least every 30 seconds, a line shows that the step still runs.
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
