/**
 * `npm test`: the gate. Two lanes run beside each other, because one keeps the processors busy and the other mostly waits for
 * pods.
 */
import { type Counts, closingLine, none, sum } from "./counts.ts";
import { duration, run, up, vitest } from "./run.ts";

const start = performance.now();

/** Runs the projects one after the other. */
async function projects(...names: string[]): Promise<Counts> {
  let counts = none;
  for (const name of names) counts = sum(counts, await vitest(name, ["--project", name]));
  return counts;
}

const cluster = up();

/** Runs the projects once the cluster is up. Without a cluster each of them counts as failed. */
async function onCluster(...names: string[]): Promise<Counts> {
  if ((await cluster).failed === 0) return projects(...names);
  console.log(`✗ ${names.join(", ")}: not run, because the cluster did not come up`);
  return { ...none, failed: names.length };
}

async function processorLane(): Promise<Counts> {
  const checked = await run({ name: "check", command: ["npm", "run", "--silent", "check"] });
  const unit = await projects("unit");
  return [checked, unit, await onCluster("manifests", "stores")].reduce(sum);
}

const counts = await Promise.all([cluster, processorLane(), onCluster("cluster", "stack", "e2e")]);
const total = counts.reduce<Counts>(sum, none);
console.log(`\nThe gate took ${duration((performance.now() - start) / 1000)}.\n\n${closingLine(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;
