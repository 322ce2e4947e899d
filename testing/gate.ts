/**
 * `npm test` runs the gate: `npm run check`, and all tests except the proofs and the shapes. Tests that keep the processors busy
 * run at the same time as tests that mostly wait for pods, and as tests that mostly wait for Pulumi.
 */
import { dropCompiledPackages, hasUnusedPackages } from "../local/lib/go.ts";
import { type Counts, closingLine, none, sum } from "./counts.ts";
import { duration, failures, run, up, vitest } from "./run.ts";

const start = performance.now();

/** Runs the projects one after another. */
async function projects(...names: string[]): Promise<Counts> {
  let counts = none;
  for (const name of names) counts = sum(counts, await vitest(name, ["--project", name]));
  return counts;
}

// `--keep-compiled`: the cluster's programs and the programs that the tests build share compiled Go packages.
const cluster = up("--keep-compiled");

/** The projects that were not run, because the cluster did not start. */
const notRun: string[] = [];

/**
 * Waits until the cluster has started, and then runs the vitest projects. If the cluster does not start, each of these projects
 * counts as one failure, because the number of its tests is not known.
 */
async function onCluster(...names: string[]): Promise<Counts> {
  if ((await cluster).failed === 0) return projects(...names);
  notRun.push(...names);
  return { ...none, failed: names.length };
}

async function checks(): Promise<Counts> {
  const checked = await run({ name: "check", command: ["npm", "run", "--silent", "check"] });
  return sum(checked, await projects("unit"));
}

const checked = checks();
const others = checked.then(async () => sum(await onCluster("stores"), await projects("manifests")));
const pods = onCluster("cluster");
const stack = onCluster("stack");
// The tests of `stack` stop the API for a while, so the end-to-end tests start after them.
const endToEnd = Promise.all([pods, stack]).then(() => onCluster("e2e"));
const counts = await Promise.all([cluster, checked, others, pods, stack, endToEnd]);
const total = counts.reduce<Counts>(sum, none);
if (hasUnusedPackages()) await dropCompiledPackages();
for (const line of failures) console.log(line);
if (notRun.length > 0)
  console.log(
    `\n${notRun.length} vitest projects were not run, because the cluster did not start: ${notRun.join(", ")}. ` +
      "The closing line counts each of them as one failure.",
  );
console.log(`\nThe gate took ${duration((performance.now() - start) / 1000)}.\n\n${closingLine(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;
