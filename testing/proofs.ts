/**
 * `npm run test:proofs [-- NAME ...]` runs the proofs one after another. Before each proof, `up` repairs the stack. If a run
 * of all proofs was interrupted, the next run of all proofs skips the proofs that have a result, unless the code has changed.
 * Proofs that are named always run.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { checkoutState, stateDir } from "./checkout-state.ts";
import { type Counts, closingLine, none, sum } from "./counts.ts";
import { duration, failures, root, run, up, vitest } from "./run.ts";

/** The time limit of each proof. A proof takes at most 15 minutes on a quiet machine; a CI system's machine may be slower. */
const limitSeconds = 40 * 60;

const files = new Map(
  globSync("{images,infra,local,runtime/src,tests,tools}/**/*.proof.test.ts", { cwd: root })
    .sort()
    .map((file) => [basename(file, ".proof.test.ts"), file]),
);
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !files.has(name));
if (unknown.length > 0) {
  console.error(`berth: there is no proof ${unknown.join(", ")}. The proofs are: ${[...files.keys()].join(", ")}.`);
  process.exit(2);
}
const names = wanted.length > 0 ? wanted : [...files.keys()];

type Done = Record<string, Counts & { seconds: number }>;

const record = join(stateDir, "proofs.json");
const state = await checkoutState();
const done: Done = wanted.length > 0 ? {} : readDone();
const resumed = names.filter((name) => done[name]);
if (resumed.length > 0) console.log(`Done by an earlier, interrupted run: ${resumed.join(", ")}.`);

for (const name of names) {
  if (done[name]) continue;
  const start = performance.now();
  await run({ name: "put right", command: ["node", "tests/proofs/put-right.ts"] });
  const ready = await up();
  const counts =
    ready.failed > 0 ? ready : await vitest(name, ["--project", "proof", files.get(name) ?? ""], limitSeconds);
  done[name] = { ...counts, seconds: (performance.now() - start) / 1000 };
  if (wanted.length > 0) continue;
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(record, JSON.stringify({ state, done }));
}
if (wanted.length === 0) rmSync(record, { force: true });
// A successful proof leaves the stack unchanged, but a failed proof may leave changes.
const restored = await up();

const changed = (await checkoutState()) === state ? "" : " (the checkout has changed since the first proof began)";
for (const line of failures) console.log(line);
console.log(`\nProofs of ${state}${changed}:`);
for (const name of names) {
  const { seconds, ...counts } = done[name] ?? { ...none, failed: 1, seconds: 0 };
  console.log(`  ${name.padEnd(14)} ${closingLine(counts).padEnd(36)} ${duration(seconds)}`);
}
const total = [...names.map((name) => done[name] ?? none), restored].reduce<Counts>(sum, none);
console.log(`\n${closingLine(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;

function readDone(): Done {
  try {
    const earlier = JSON.parse(readFileSync(record, "utf8")) as { state: string; done: Done };
    return earlier.state === state ? earlier.done : {};
  } catch {
    return {};
  }
}
