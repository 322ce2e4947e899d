/**
 * Renders the objects of a stack without a cluster, with the Kubernetes provider. Values that the cluster, Docker or the
 * registry would add are replaced with fixed values, as in the golden files, so the objects contain no secrets. Pulumi must be
 * installed (`ensurePulumi`).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError } from "@pulumi/pulumi/automation/index.js";
import { type RecordedResource, recordStack } from "../../infra/testing/record.ts";
import { UserError } from "../../local/lib/steps.ts";
import { root } from "../../machine/machine.ts";
import { withRenderedStack } from "./throw-away.ts";

/**
 * Writes each object of the stack to the folder as YAML, and deletes what the folder contained before.
 * @param resources default: the resources that the program declares
 */
export async function renderStack(stack: string, directory: string, resources?: RecordedResource[]): Promise<void> {
  const recorded = resources ?? (await recordStack(stack));
  rmSync(directory, { recursive: true, force: true });
  await withRenderedStack(stack, recorded, directory, (it) => it.up({ suppressProgress: true }));
}

/**
 * Checks the stack against the policy pack.
 * @param resources default: the resources that the program declares
 * @throws UserError that lists every violation
 */
export async function checkPolicies(stack: string, resources?: RecordedResource[]): Promise<void> {
  const unused = mkdtempSync(join(tmpdir(), "berth-policy-"));
  try {
    const policyPacks = [join(root, "policy", "run")];
    await withRenderedStack(stack, resources ?? (await recordStack(stack)), unused, (it) =>
      it.preview({ policyPacks, suppressProgress: true, color: "never" }),
    );
  } catch (error) {
    const [violations] = /^Policies:\n.*?(?=\n\n)/ms.exec((error as Error).message) ?? [];
    if (!(error instanceof CommandError) || !violations) throw error;
    throw new UserError(`the stack ${stack} breaks rules; docs/policies.md says how to keep each.\n${violations}`);
  } finally {
    rmSync(unused, { recursive: true, force: true });
  }
}
