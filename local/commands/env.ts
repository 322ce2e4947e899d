import { step } from "../lib/steps.ts";
import { shellLine } from "../pulumi/stack.ts";
import { ensureLanguageHost, hasLanguageHost } from "../pulumi/tools.ts";

/** Prints the line that makes a shell know pulumi, kubectl and the local cluster; what `pulumi` needs by hand is there then. */
export async function printEnvironment(): Promise<void> {
  const line = shellLine();
  const print = console.log;
  console.log = console.error; // the shell evaluates what is printed
  if (!hasLanguageHost()) await step("Pulumi's language host, once", ensureLanguageHost);
  print(line);
}
