/** The result of a test run, in numbers. */
import type { TestCase, TestModule } from "vitest/node";

export interface Counts {
  passed: number;
  /**
   * Failed tests. Tests that did not run because their set-up failed, files that could not be loaded, and errors outside
   * tests count too.
   */
  failed: number;
  /** Selected tests that skipped themselves with a reason, because they can't run on this machine. */
  skipped: number;
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 };

export const sum = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/** Returns the closing line: `N passed, N failed`, and `, N skipped` if tests were skipped. */
export const closingLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** Reads the counts from a closing line. Returns undefined for any other line. */
export function parseClosingLine(line: string): Counts | undefined {
  const [found, passed, failed, skipped = 0] = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(line) ?? [];
  return found === undefined ? undefined : { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/** Whether a hook of the test's file or suite has failed. Vitest reports the tests of such a file or suite as skipped. */
function lacksSetUp(test: TestCase): boolean {
  for (let suite = test.parent; ; suite = suite.parent) {
    if (suite.errors().length > 0) return true;
    if (suite.type === "module") return false;
  }
}

/**
 * @param errors errors outside any file, for example in a globalSetup
 * @param wanted matches the full names of the selected tests; other tests don't count. Default: all tests
 */
export function count(modules: readonly TestModule[], errors: readonly unknown[], wanted = /(?:)/): Counts {
  const tests = modules
    .flatMap((module) => [...module.children.allTests()])
    .filter((test) => wanted.test(test.fullName));
  const states = tests.map((test) => {
    const { state, ...result } = test.result();
    // An interrupted run leaves tests pending. A test that skips itself must give a reason: `context.skip(why)`.
    if (state === "pending") return "failed";
    if (state !== "skipped") return state;
    return lacksSetUp(test) || !("note" in result && result.note) ? "failed" : state;
  });
  const number = (of: string) => states.filter((state) => state === of).length;
  // Errors of failed hooks, and of files that could not be loaded.
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const broken = suites.filter((suite) => suite.errors().length > 0).length + errors.length;
  return { passed: number("passed"), failed: number("failed") + broken, skipped: number("skipped") };
}
