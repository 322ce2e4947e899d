/** The one way in which tests wait: for a condition, with a name and a deadline. */
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { type RunnerTestCase, TestRunner } from "vitest";

/** `look` throws it when the condition can never hold any more: the wait ends at once, with this error. */
export class Hopeless extends Error {
  override name = "Hopeless";
}

/** What `until` returns: what was seen, without the values that mean "not yet". */
type Seen<T> = Exclude<T, undefined | null | false>;

const isThere = (seen: unknown): boolean => seen !== undefined && seen !== null && seen !== false;

/**
 * Calls `look` again and again until `accept` takes what it returns, and returns that. A look that throws has seen nothing
 * yet. The wait also ends when its test ends, so that nothing goes on behind a test that has failed. A wait that begins
 * after the time-out of its test belongs to the clean-up; only its deadline ends it.
 * @param what names the condition in the error, for example "session 17 is running"
 * @param seconds the deadline; a look that hangs does not extend it
 * @param accept default: anything but undefined, null and false
 * @throws Error that names the condition and the last thing seen (a value, or the error of the last look)
 * @throws Hopeless as soon as `look` throws it
 */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => T | Promise<T>,
  accept: (seen: Awaited<T>) => boolean = isThere,
): Promise<Seen<Awaited<T>>> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(`not after ${seconds} s`), seconds * 1000);
  stopWithTest(end);
  const ended = new Promise<void>((resolve) => {
    end.signal.addEventListener("abort", () => resolve());
  });
  let last = "no look has ended";
  const lookOnce = async () => {
    try {
      const seen = await look();
      last = inspect(seen, { depth: 4, breakLength: 120 });
      return accept(seen) ? { seen } : undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return undefined;
    }
  };
  try {
    // Short pauses at first, because many conditions hold within milliseconds; at most four looks a second later.
    for (let pause = 10; !end.signal.aborted; pause = Math.min(pause * 1.5, 250)) {
      const found = await Promise.race([lookOnce(), ended]);
      if (found) return found.seen as Seen<Awaited<T>>;
      await Promise.race([sleep(pause), ended]);
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`${what}: ${end.signal.reason}. Last seen: ${last}`);
}

/**
 * In a test, aborts when the test ends: by itself or by its time-out. In a hook, a benchmark or a clean-up it does nothing; nor
 * in a concurrent test, because vitest can't tell which of those that run is the caller.
 */
function stopWithTest(end: AbortController): void {
  const test = TestRunner.getCurrentTest<RunnerTestCase | undefined>();
  if (test === undefined || test.concurrent || test.context.signal.aborted) return;
  const { context } = test;
  const stop = () => end.abort("the test has ended");
  try {
    context.onTestFinished(stop);
  } catch {
    return; // vitest refuses in hooks and in the clean-up itself
  }
  context.signal.addEventListener("abort", stop, { once: true });
}
