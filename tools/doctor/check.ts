/** What a check of `npm run doctor` is, and how the results are printed. Everything but `examine` is pure. */
import type { Config } from "../../infra/config/config.ts";
import { reason } from "../../infra/kubernetes/cluster.ts";
import type { Seen } from "../cluster/seen.ts";
import { interruption } from "./poll.ts";
import type { Tries } from "./tries.ts";

/** The outputs of the stack's last `up` that checks need. */
export interface Outputs {
  apiUrl: string;
  apiImage: string;
  /** API keys, by tenant and by key name. */
  tenantKeys: Record<string, Record<string, string>>;
}

/** What the checks examine. */
export interface Patient {
  stack: string;
  config: Config;
  seen: Seen;
  /** The outputs of the stack's last `up`; undefined before the first `up`. */
  outputs: Outputs | undefined;
  /** The parts of checks that need the cluster. */
  tries: Tries;
}

/** The result of a check. `remedy` says what to do. */
export type Verdict =
  | { state: "ok"; says: string }
  | { state: "failed"; says: string; remedy: string }
  | { state: "skipped"; says: string };

export interface Check {
  /** A short name, for example `storage`. */
  name: string;
  /** `stack`: the check needs the deployed stack, and is skipped before the first `up`. */
  needs: "cluster" | "stack";
  /** Examines one promise. If it throws, the check has failed with the error's message. */
  run(patient: Patient): Verdict | Promise<Verdict>;
}

export type Result = { name: string } & Verdict;

/** The stack's name without the organization, as the label app.kubernetes.io/instance has it. */
export const labelOf = (stack: string): string => stack.slice(stack.lastIndexOf("/") + 1);

export const ok = (says: string): Verdict => ({ state: "ok", says });
export const failed = (says: string, remedy: string): Verdict => ({ state: "failed", says, remedy });
export const skipped = (says: string): Verdict => ({ state: "skipped", says });

/**
 * Runs the checks one after another, so that a small cluster is not busy with several of them at the same time. After an
 * interruption by the user, no further check runs.
 * @param report is called after each check
 */
export async function examine(
  checks: Check[],
  patient: Patient,
  report: (result: Result) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name, needs, run } of checks) {
    if (interruption.signal.aborted) break;
    const isEarly = needs === "stack" && patient.outputs === undefined;
    const verdict = isEarly
      ? skipped(`needs the deployed stack: run pulumi up -s ${patient.stack} first`)
      : await tried(run, patient);
    const result = { name, ...verdict };
    results.push(result);
    report(result);
  }
  return results;
}

const tried = async (run: Check["run"], patient: Patient): Promise<Verdict> => {
  try {
    return await run(patient);
  } catch (error) {
    return failed(reason(error as Error), "remove this cause, then run the command again");
  }
};

const symbols = { ok: "✓", failed: "✗", skipped: "–" };

/** One line: `✗ storage: the volume isn't bound after 60 s. Do: …`. */
export const line = (result: Result): string =>
  `${symbols[result.state]} ${result.name}: ${result.says}${result.state === "failed" ? `. Do: ${result.remedy}` : ""}`;

/** The text for `-o json`. */
export const json = (results: Result[]): string =>
  JSON.stringify({ ok: exitCode(results) === 0, checks: results }, null, 2);

/** 1 if a check has failed, else 0. */
export const exitCode = (results: Result[]): 0 | 1 => (results.some(({ state }) => state === "failed") ? 1 : 0);
