/** Progress on the terminal: one line when a step starts to wait, one when it is done, with its duration. */

/** A failure that the user can act on; printed as one sentence, without a stack. */
export class UserError extends Error {
  override name = "UserError";
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs `work` and prints the step's name and duration. A string that `work` returns says what it did, e.g. `"cached"`.
 * While it runs longer than 30 seconds, a line every 30 seconds says so.
 */
export async function step(name: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  const ticker = setInterval(() => console.log(`  … ${name} (${seconds(start)})`), 30_000);
  try {
    const note = await work();
    console.log(`✓ ${name}${typeof note === "string" ? `: ${note}` : ""} (${seconds(start)})`);
  } catch (error) {
    console.log(`✗ ${name} (${seconds(start)})`);
    throw error;
  } finally {
    clearInterval(ticker);
  }
}
