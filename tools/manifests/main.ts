/**
 * `npm run render` writes the objects of every stack as YAML files to rendered/<stack>/, for programs and people that check them.
 * `npm run policy` checks the objects against the policy pack. Both commands accept names of stacks; the default is all stacks.
 * No cluster is needed.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { step, UserError } from "../../local/lib/steps.ts";
import { ensurePulumi } from "../../local/pulumi/tools.ts";
import { root } from "../../machine/machine.ts";
import { checkPolicies, renderStack } from "./stacks.ts";

const [command = "", ...named] = process.argv.slice(2);
const all = globSync("Pulumi.*.yaml", { cwd: root }).map((file) => file.split(".")[1] ?? "");
const [stack = "", ...others] = named.length > 0 ? named : all.sort();

try {
  await step("Pulumi", ensurePulumi);
  if (command === "policy") await step(`Policies on ${stack}`, () => checkPolicies(stack));
  else await step(`Manifests of ${stack}`, () => renderStack(stack, join(root, "rendered", stack)));
} catch (error) {
  console.error(error instanceof UserError ? `\nberth: ${error.message}` : error);
  process.exitCode = 1;
}
// A process can run the Pulumi program only once.
if (others.length > 0) {
  const rest = await execa(process.execPath, [fileURLToPath(import.meta.url), command, ...others], {
    stdio: "inherit",
    reject: false,
  });
  if (rest.failed) process.exitCode = 1;
}
