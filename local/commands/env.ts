import { step } from "../lib/steps.ts";
import { shellLine } from "../pulumi/stack.ts";
import { ensureLanguageHost, hasLanguageHost } from "../pulumi/tools.ts";

/**
 * Prints a line that a shell evaluates, so that pulumi and kubectl work on the local cluster. Also builds Pulumi's language host,
 * because a `pulumi` that a user runs by hand needs it.
 */
export async function printEnvironment(): Promise<void> {
  const line = shellLine();
  const print = console.log;
  console.log = console.error; // the output holds only the line, because the shell evaluates the output
  if (!hasLanguageHost()) await step("Pulumi's language host, once", ensureLanguageHost);
  print(line);
}
