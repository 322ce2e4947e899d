import { step } from "../lib/steps.ts";
import { shellLine } from "../pulumi/stack.ts";
import { ensureLanguageHost, lacksLanguageHost } from "../pulumi/tools.ts";

/**
 * Prints a line that a shell evaluates, so that pulumi and kubectl work on the local cluster. Also builds Pulumi's language host
 * if it is missing, because a `pulumi` that a user runs by hand needs the language host.
 */
export async function printEnvironment(): Promise<void> {
  const line = shellLine();
  const print = console.log;
  console.log = console.error; // stdout must contain only the line, because the shell evaluates stdout
  if (lacksLanguageHost()) await step("Pulumi's language host, once", ensureLanguageHost);
  print(line);
}
