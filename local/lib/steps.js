/** Progress on the terminal: one line when a step starts to wait, one when it is done, with its duration. */
/** A failure that the user can act on; printed as one sentence, without a stack. */
export class UserError extends Error {
    name = "UserError";
}
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
/**
 * Runs `work` and prints the step's name and duration. Returns what `work` returns; a string says what it
 * did, e.g. `"cached"`, and is printed.
 * While it runs longer than 30 seconds, a line every 30 seconds says so.
 */
export async function step(name, work) {
    const start = performance.now();
    const ticker = setInterval(() => console.log(`  … ${name} (${seconds(start)})`), 30_000);
    try {
        const note = await work();
        console.log(`✓ ${name}${typeof note === "string" ? `: ${note}` : ""} (${seconds(start)})`);
        return note;
    }
    catch (error) {
        console.log(`✗ ${name} (${seconds(start)})`);
        throw error;
    }
    finally {
        clearInterval(ticker);
    }
}
