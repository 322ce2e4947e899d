/** How a run of tests ended, in numbers. */
import type { TestCase, TestModule } from "vitest/node";

export interface Counts {
  passed: number;
  /** Also tests that did not run because their set-up failed, files that could not be loaded, and errors outside of tests. */
  failed: number;
  /** Tests that say themselves that they can't run here, and why. */
  skipped: number;
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 };

export const sum = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/** The closing line: `N passed, N failed`, and `, N skipped` where some were. */
export const closingLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** The counts of a closing line; undefined for any other line. */
export function parseClosingLine(line: string): Counts | undefined {
  const [found, passed, failed, skipped = 0] = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(line) ?? [];
  return found === undefined ? undefined : { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/** Whether a hook of the test's file or of one of its suites has failed: vitest marks such a test as skipped. */
function lacksSetUp(test: TestCase): boolean {
  for (let suite = test.parent; ; suite = suite.parent) {
    if (suite.errors().length > 0) return true;
    if (suite.type === "module") return false;
  }
}

/**
 * @param errors those outside of any file, for example of a globalSetup
 * @param wanted the full names of the tests that were to run; the others are skipped without a reason. Default: all
 */
export function count(modules: readonly TestModule[], errors: readonly unknown[], wanted = /(?:)/): Counts {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const states = tests.map((test) => {
    const { state, ...result } = test.result();
    // A run that was cut off leaves tests pending. Whoever skips a test for good reason says which: `context.skip(why)`.
    if (state === "pending") return "failed";
    if (state !== "skipped" || !wanted.test(test.fullName)) return state;
    return lacksSetUp(test) || !("note" in result && result.note) ? "failed" : state;
  });
  const number = (of: string) => states.filter((state) => state === of).length;
  // Of a hook that failed, and of a file that could not be loaded.
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const broken = suites.filter((suite) => suite.errors().length > 0).length + errors.length;
  return { passed: number("passed"), failed: number("failed") + broken, skipped: number("skipped") };
}
