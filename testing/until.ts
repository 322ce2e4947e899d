/** Tests wait for a condition only with `until`, which has a name for the condition and a deadline. */
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { type RunnerTestCase, TestRunner } from "vitest";

/** `attempt` throws this error when the condition can never hold any more. The wait then ends at once, with this error. */
export class Hopeless extends Error {
  override name = "Hopeless";
}

/**
 * Callers choose a deadline for a machine without other load. `until` waits this many times as long, because machines of CI
 * systems can be that much slower. A wait that is too long costs time only when a test fails; a wait that is too short makes a
 * test fail by chance.
 */
export const patience = 4;

/** The type of what `until` returns: the result of `attempt`, without the values that mean "not yet". */
type Found<T> = Exclude<T, undefined | null | false>;

/** The longest pause, in milliseconds, after so many milliseconds of waiting. */
const longestPause = (waited: number): number => Math.min(Math.max(250, waited / 20), 1000);

const isThere = (result: unknown): boolean => result !== undefined && result !== null && result !== false;

/**
 * Calls `attempt` repeatedly until `accept` accepts the result, and returns this result. If `attempt` throws an error, `until`
 * calls `attempt` again later. The wait also ends when its test ends, so that no wait continues after a failed test. If a wait
 * begins after the test's time-out, the wait is part of the clean-up, and the end of the test does not end it.
 * @param what names the condition in the error, for example "session 17 is running"
 * @param seconds the deadline for a machine without other load; the real deadline is `patience` times as long. A call of
 *   `attempt` that hangs does not extend the deadline
 * @param accept default: accepts everything except undefined, null and false
 * @throws Error that names the condition and the last result of `attempt`, or the last error that `attempt` threw
 * @throws Hopeless as soon as `attempt` throws it
 */
export async function until<T>(
  what: string,
  seconds: number,
  attempt: () => T | Promise<T>,
  accept: (result: Awaited<T>) => boolean = isThere,
): Promise<Found<Awaited<T>>> {
  const end = new AbortController();
  const limit = seconds * patience;
  const timer = setTimeout(() => end.abort(`not after ${limit} s`), limit * 1000);
  stopWithTest(end);
  const ended = new Promise<void>((resolve) => {
    end.signal.addEventListener("abort", () => resolve());
  });
  let last = "no call of `attempt` has ended";
  const attemptOnce = async () => {
    try {
      const result = await attempt();
      last = inspect(result, { depth: 4, breakLength: 120 });
      return accept(result) ? { result } : undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return undefined;
    }
  };
  try {
    // The first pauses are short, because many conditions hold within milliseconds. Later, a pause is a twentieth of the time
    // waited so far, but at least 250 ms and at most 1 s, because an attempt may start a program.
    const start = performance.now();
    for (let pause = 10; !end.signal.aborted; pause = Math.min(pause * 1.5, longestPause(performance.now() - start))) {
      const found = await Promise.race([attemptOnce(), ended]);
      if (found) return found.result as Found<Awaited<T>>;
      await Promise.race([sleep(pause), ended]);
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`${what}: ${end.signal.reason}. Last seen: ${last}`);
}

/**
 * Aborts the wait when the current test ends or times out. In a hook, a benchmark or a clean-up, this function does nothing.
 * In a concurrent test, this function does nothing either, because vitest can't tell which of the running tests is the caller.
 */
function stopWithTest(end: AbortController): void {
  const test = TestRunner.getCurrentTest<RunnerTestCase | undefined>();
  if (test === undefined || test.concurrent || test.context.signal.aborted) return;
  const { context } = test;
  const stop = () => end.abort("the test has ended");
  try {
    context.onTestFinished(stop);
  } catch {
    return; // vitest does not allow this call in hooks and in the clean-up
  }
  context.signal.addEventListener("abort", stop, { once: true });
}
