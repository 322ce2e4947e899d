/**
 * Runs the test files of one vitest project one after another, each in a separate process, and prints a table of the results.
 * If a run of all files was interrupted, the next run of all files skips the files that have a result, unless the code has
 * changed. Files that the command names always run.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "../machine/machine.ts";
import { checkoutState, stateDir } from "./checkout-state.ts";
import { type Counts, closingLine, none, sum } from "./counts.ts";
import { duration, failures, vitest } from "./run.ts";

export interface Project {
  /** The name of the vitest project, which is also the suffix of its files, for example `proof`. */
  name: string;
  /** The plural of the name, for messages: `Proofs`. */
  plural: string;
  /** The time limit of each file, in seconds. */
  limitSeconds: number;
  /**
   * Runs before each file. If `before` reports a failure, the file does not run, and gets the counts of `before`. Default:
   * nothing.
   */
  before?: () => Promise<Counts>;
  /** Runs after the last file. Default: nothing. */
  after?: () => Promise<Counts>;
}

type Done = Record<string, Counts & { seconds: number }>;

/**
 * The exit code of the process is 1 if a test has failed, and 2 if there is no file with one of the names.
 * @param wanted the names of the files, without suffix. Empty: all files of the project
 */
export async function runOneByOne(project: Project, wanted: string[]): Promise<void> {
  const { name: suffix, plural, limitSeconds, before = async () => none, after = async () => none } = project;
  const files = new Map(
    globSync(`{images,infra,local,runtime/src,tests,tools}/**/*.${suffix}.test.ts`, { cwd: root })
      .sort()
      .map((file) => [basename(file, `.${suffix}.test.ts`), file]),
  );
  const unknown = wanted.filter((name) => !files.has(name));
  if (unknown.length > 0) {
    console.error(`berth: there is no ${suffix} ${unknown.join(", ")}. ${plural}: ${[...files.keys()].join(", ")}.`);
    process.exitCode = 2;
    return;
  }
  const names = wanted.length > 0 ? wanted : [...files.keys()];

  const record = join(stateDir, `${plural.toLowerCase()}.json`);
  const state = await checkoutState();
  const done: Done = wanted.length > 0 ? {} : readDone(record, state);
  const resumed = names.filter((name) => done[name]);
  if (resumed.length > 0) console.log(`Done by an earlier, interrupted run: ${resumed.join(", ")}.`);

  for (const name of names) {
    if (done[name]) continue;
    const start = performance.now();
    const ready = await before();
    const counts =
      ready.failed > 0 ? ready : await vitest(name, ["--project", suffix, files.get(name) ?? ""], limitSeconds);
    done[name] = { ...counts, seconds: (performance.now() - start) / 1000 };
    if (wanted.length > 0) continue;
    mkdirSync(stateDir, { recursive: true });
    writeFileSync(record, JSON.stringify({ state, done }));
  }
  if (wanted.length === 0) rmSync(record, { force: true });
  const restored = await after();

  const changed =
    (await checkoutState()) === state ? "" : ` (the checkout has changed since the first ${suffix} began)`;
  for (const line of failures) console.log(line);
  console.log(`\n${plural} of ${state}${changed}:`);
  const width = Math.max(14, ...names.map((name) => name.length));
  for (const name of names) {
    const { seconds, ...counts } = done[name] ?? { ...none, failed: 1, seconds: 0 };
    console.log(`  ${name.padEnd(width)} ${closingLine(counts).padEnd(36)} ${duration(seconds)}`);
  }
  const total = [...names.map((name) => done[name] ?? none), restored].reduce<Counts>(sum, none);
  console.log(`\n${closingLine(total)}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

function readDone(record: string, state: string): Done {
  try {
    const earlier = JSON.parse(readFileSync(record, "utf8")) as { state: string; done: Done };
    return earlier.state === state ? earlier.done : {};
  } catch {
    return {};
  }
}
