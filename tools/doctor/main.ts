/**
 * `npm run doctor -- --stack NAME` says before an `up` what will fail, and after an `up` whether each promise holds on the
 * stack's cluster. The command deletes everything that it has created. The exit code is 1 if a check has failed.
 */
import { parseArgs } from "node:util";
import { reason } from "../../infra/kubernetes/cluster.ts";
import { UserError } from "../../machine/userError.ts";
import { lookAt } from "../cluster/look.ts";
import { examine, exitCode, json, line, type Patient, type Result } from "./check.ts";
import { identity, lookChecks } from "./checks-look.ts";
import { tryChecks } from "./checks-try.ts";
import { clusterTries } from "./cluster-tries.ts";
import { interruption } from "./poll.ts";
import { readAccess, readConfig, readOutputs } from "./stack.ts";

const usage = `npm run doctor -- --stack NAME    check the stack and its cluster
    -o json                       print the results as JSON
    --look                        only look at the cluster, and make nothing in it`;

/** @throws UserError if the arguments are wrong */
export function optionsOf(args: string[]): { stack: string; asJson: boolean; onlyLook: boolean } {
  let values: { stack?: string; output?: string; look?: boolean };
  try {
    ({ values } = parseArgs({
      args,
      options: { stack: { type: "string" }, output: { type: "string", short: "o" }, look: { type: "boolean" } },
    }));
  } catch (error) {
    throw new UserError(`${(error as Error).message}\n${usage}`);
  }
  const { stack, output, look = false } = values;
  if (!stack) throw new UserError(`name the stack.\n${usage}`);
  if (output !== undefined && output !== "json")
    throw new UserError(`-o ${output}: the only format is json.\n${usage}`);
  return { stack, asJson: output === "json", onlyLook: look };
}

/** Runs all checks. If the check `cluster` fails, no other check runs, because the cluster may belong to somebody else. */
export async function diagnose(
  patient: Patient,
  onlyLook: boolean,
  report: (result: Result) => void = () => {},
): Promise<Result[]> {
  const first = await examine([identity], patient, report);
  if (exitCode(first) === 1) return first;
  return [...first, ...(await examine(onlyLook ? lookChecks : [...lookChecks, ...tryChecks], patient, report))];
}

async function main(): Promise<void> {
  const { stack, asJson, onlyLook } = optionsOf(process.argv.slice(2));
  const config = await readConfig(stack);
  const [access, outputs] = await Promise.all([readAccess(config), readOutputs(stack)]);
  const seen = await lookAt(access).catch((error: Error) => {
    throw new UserError(`the stack's cluster can't be read: ${reason(error)}`);
  });
  const facts = { stack, config, seen, outputs };
  const patient = { ...facts, tries: clusterTries(access, facts) };
  process.once("SIGINT", () => {
    console.error("berth: the running check deletes what it made. A second Ctrl-C ends the command at once.");
    interruption.abort();
  });
  const results = await diagnose(patient, onlyLook, (result) => {
    if (!asJson) console.log(line(result));
  });
  if (asJson) console.log(json(results));
  process.exitCode = interruption.signal.aborted ? 130 : exitCode(results);
}

if (import.meta.main)
  try {
    await main();
  } catch (error) {
    console.error(error instanceof UserError ? `berth: ${error.message}` : error);
    process.exitCode = 1;
  }
