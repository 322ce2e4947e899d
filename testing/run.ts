/** Runs parts of the tests as separate processes, for commands that run several parts. */
import { stripVTControlCharacters } from "node:util";
import { execa } from "execa";
import { root } from "../machine/machine.ts";
import { type Counts, closingLine, none, parseClosingLine } from "./counts.ts";

/** Formats a duration, for example `1 min 5 s`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * For each part of the tests that this process ran and that failed: a line with the part's name, and then the lines that say what
 * failed (see `whatFailed`). A long command prints these lines again at its end, because some CI systems keep only the end of the
 * output.
 */
export const failures: string[] = [];

/**
 * Returns the lines that say what failed: of each failure in vitest's list, the name of the test and the first 10 lines that
 * follow. If there is no list, returns the last 40 lines. Returns at most 120 lines. The function is pure.
 */
export function whatFailed(lines: readonly string[]): readonly string[] {
  const plain = lines.map((line) => stripVTControlCharacters(line));
  const list = plain.findIndex((line) => /⎯ (Failed (Tests|Suites)|Unhandled Errors?) /.test(line));
  if (list < 0) return lines.slice(-40);
  const name = /^ FAIL |⎯ Unhandled /;
  const chosen = lines.filter(
    (_, at) => at >= list && plain.slice(Math.max(list, at - 10), at + 1).some((line) => name.test(line)),
  );
  return chosen.slice(0, 120);
}

export interface Part {
  /** The prefix of each printed line. */
  name: string;
  /**
   * The program and its arguments. If both the checkout and the machine have the program, such as Node, the checkout's
   * program runs.
   */
  command: [string, ...string[]];
  /** The time limit in seconds. A program that reaches the limit is ended and counts as failed. Default: no limit. */
  limitSeconds?: number;
}

/**
 * Runs the program and prints the program's output, start, result and duration.
 * @returns the counts of the program's closing line; one failure if there is no closing line and the exit code is not 0
 */
export async function run({
  name,
  command: [program, ...args],
  limitSeconds,
}: Part): Promise<Counts & { seconds: number }> {
  console.log(`▶ ${name}`);
  const start = performance.now();
  let reported: Counts | undefined;
  const lines: string[] = [];
  const print = function* (text: unknown) {
    const line = `${text}`;
    const closing = parseClosingLine(line);
    if (closing) {
      reported = closing;
      return;
    }
    lines.push(line);
    yield `${name.padEnd(9)} │ ${line}`;
  };
  const { exitCode, timedOut } = await execa(program, args, {
    cwd: root,
    preferLocal: true,
    localDir: root,
    stdin: "ignore",
    stdout: [print, "inherit"],
    stderr: [print, "inherit"],
    reject: false,
    ...(limitSeconds && { timeout: limitSeconds * 1000 }),
  });
  const counts = judge(reported, exitCode);
  const seconds = (performance.now() - start) / 1000;
  const ended = timedOut
    ? `ended at its limit of ${duration(limitSeconds ?? 0)}`
    : reported
      ? closingLine(counts)
      : "done";
  console.log(`${counts.failed > 0 ? "✗" : "✓"} ${name}: ${ended} (${duration(seconds)})`);
  if (counts.failed > 0) failures.push(`✗ ${name}`, ...whatFailed(lines));
  return { ...counts, seconds };
}

/**
 * Returns the final counts of a program: `reported` (the counts of its closing line), or zeros if it printed no closing line.
 * Adds one failure if the counts have none and the exit code is not 0 (the program may have failed before or after the line),
 * or if the closing line counts no test at all (for example because no test has the requested name). A program whose tests
 * all skipped themselves has not failed. Pure.
 */
export function judge(reported: Counts | undefined, exitCode: number | undefined): Counts {
  const counts = reported ?? none;
  const isRed = exitCode !== 0 || (reported !== undefined && reported.passed + reported.skipped === 0);
  return isRed && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Runs vitest on the tests that `args` selects. */
export const vitest = (name: string, args: string[], limitSeconds?: number) =>
  run({ name, command: ["vitest", "run", ...args], ...(limitSeconds && { limitSeconds }) });

/** Starts the cluster and deploys the stack of this checkout. @param options of the command */
export const up = (...options: string[]) => run({ name: "up", command: ["node", "local/main.ts", "up", ...options] });
