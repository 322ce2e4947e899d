/**
 * `npm run test:repeat -- [--times N] [--busy] [-- ARGUMENTS OF VITEST]` runs the gate, or the tests that the arguments
 * select, N times (default 3), and writes the output of each run to a file. `--busy` keeps one processor busy during all
 * runs. If the command was interrupted, the same command later continues after the last complete run, unless the code has
 * changed.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { root } from "../machine/machine.ts";
import { checkoutState, stateDir } from "./checkout-state.ts";
import { type Counts, closingLine, none, parseClosingLine, sum } from "./counts.ts";
import { duration, judge } from "./run.ts";

const { values, positionals } = parseArgs({
  options: { times: { type: "string", default: "3" }, busy: { type: "boolean", default: false } },
  allowPositionals: true,
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 1) {
  console.error(`berth: --times ${values.times} is not a whole number above 0.`);
  process.exit(2);
}

if (positionals.length === 0) {
  // The gate needs root. setup.sh says so.
  const { exitCode } = await execa("sh", ["local/setup.sh", "--root"], { cwd: root, stdio: "inherit", reject: false });
  if (exitCode !== 0) process.exit(1);
}
const command = positionals.length > 0 ? ["vitest", "run", ...positionals] : ["node", "testing/gate.ts"];
const key = createHash("sha256")
  .update(JSON.stringify([command, values.busy]))
  .digest("hex")
  .slice(0, 6);
const folder = join(stateDir, "repeat", `${await checkoutState()}-${key}`);
const record = join(folder, "runs.jsonl");
mkdirSync(folder, { recursive: true });

type Run = Counts & { seconds: number };
const runs = existsSync(record)
  ? readFileSync(record, "utf8")
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Run)
  : [];
const load = values.busy ? ", while another process keeps one processor busy" : "";
console.log(`${command.join(" ")}: ${times} times${load}. Each run's output is in ${folder}.`);
runs.slice(0, times).forEach(print);

// The busy process ends when this process ends, for whatever reason.
const spin = "const parent = process.ppid; while (process.ppid === parent);";
const busy = values.busy ? spawn(process.execPath, ["-e", spin], { stdio: "ignore" }) : undefined;
try {
  while (runs.length < times) {
    const start = performance.now();
    const { exitCode } = await execa(command[0] ?? "", command.slice(1), {
      cwd: root,
      preferLocal: true,
      localDir: root,
      stdin: "ignore",
      stdout: { file: fileOf(runs.length) },
      stderr: { file: fileOf(runs.length) },
      reject: false,
      // Without `-count=1`, `go test` would print the cached result of an earlier run.
      env: { GOFLAGS: `${process.env.GOFLAGS ?? ""} -count=1`.trim() },
    });
    const counts = judge(closingOf(fileOf(runs.length)), exitCode);
    const run = { ...counts, seconds: (performance.now() - start) / 1000 };
    // The record begins on a new line, even if an interrupted write has left an incomplete line in the file.
    appendFileSync(record, `\n${JSON.stringify(run)}\n`);
    print(run, runs.push(run) - 1);
  }
} finally {
  busy?.kill();
}
const counted = runs.slice(0, times);
// Without the record, the next command begins again with the first run. The output files stay until that command overwrites
// them.
rmSync(record);
const red = counted.filter(({ failed }) => failed > 0).length;
const seconds = counted.map((run) => run.seconds);
console.log(
  `${times - red} of ${times} runs green, ${duration(Math.min(...seconds))} to ${duration(Math.max(...seconds))} each.\n\n` +
    closingLine(counted.reduce<Counts>(sum, none)),
);
process.exitCode = red > 0 ? 1 : 0;

function fileOf(index: number): string {
  return join(folder, `run-${String(index + 1).padStart(2, "0")}.log`);
}

/** Returns the counts of the last closing line in the file. */
function closingOf(file: string): Counts {
  const lines = readFileSync(file, "utf8").split("\n").map(parseClosingLine);
  return lines.findLast((counts) => counts !== undefined) ?? none;
}

function print({ seconds, ...counts }: Run, index: number): void {
  console.log(`${counts.failed > 0 ? "✗" : "✓"} run ${index + 1}: ${closingLine(counts)} (${duration(seconds)})`);
}
