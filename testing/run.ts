/** Runs parts of the tests as processes of their own, for commands that run more than one. */
import { join } from "node:path";
import { execa } from "execa";
import { type Counts, closingLine, none, parseClosingLine } from "./counts.ts";

/** The checkout. */
export const root = join(import.meta.dirname, "..");

/** For example `1 min 5 s`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export interface Part {
  /** What the lines that are printed begin with. */
  name: string;
  /** Program and arguments. The checkout's own programs come first, its Node too. */
  command: [string, ...string[]];
  /** After so many seconds the program is ended, and counts as failed. Default: no limit. */
  limitSeconds?: number;
}

/**
 * Runs the program and prints its lines, when it begins, and how it ended and how long it took.
 * @returns the counts of its closing line; one failure where it has none and did not end with 0
 */
export async function run({
  name,
  command: [program, ...args],
  limitSeconds,
}: Part): Promise<Counts & { seconds: number }> {
  console.log(`▶ ${name}`);
  const start = performance.now();
  let told: Counts | undefined;
  const print = function* (line: unknown) {
    const closing = parseClosingLine(`${line}`);
    if (closing) told = closing;
    else yield `${name.padEnd(9)} │ ${line}`;
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
  const counts = judge(told, exitCode);
  const seconds = (performance.now() - start) / 1000;
  const ended = timedOut ? `ended at its limit of ${duration(limitSeconds ?? 0)}` : told ? closingLine(counts) : "done";
  console.log(`${counts.failed > 0 ? "✗" : "✓"} ${name}: ${ended} (${duration(seconds)})`);
  return { ...counts, seconds };
}

/**
 * What a program's closing line is worth. One failure is added where it tells none, but the program has not ended with 0 (it may
 * have failed after the line, or before it), and where no test has passed: then nothing was shown, for example because no test
 * has the name that was asked for. Pure.
 */
export function judge(told: Counts | undefined, exitCode: number | undefined): Counts {
  const counts = told ?? none;
  const isRed = exitCode !== 0 || (told !== undefined && told.passed === 0);
  return isRed && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Runs vitest on a part of the tests. */
export const vitest = (name: string, args: string[], limitSeconds?: number) =>
  run({ name, command: ["vitest", "run", ...args], ...(limitSeconds && { limitSeconds }) });

/** Brings the cluster up with the stack of this checkout. */
export const up = () => run({ name: "up", command: ["node", "local/main.ts", "up"] });
