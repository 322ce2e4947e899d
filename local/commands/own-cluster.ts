/** A cluster that the user has, in place of the local one. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { step, UserError } from "../lib/steps.ts";
import { useContext } from "../pulumi/stack.ts";
import { ensurePulumi } from "../pulumi/tools.ts";

/** Makes ready to deploy the stack to the cluster of a kubeconfig context, with the Docker of the user's shell. */
export async function ownCluster(stack: string, context: string): Promise<void> {
  const known = contexts(process.env.KUBECONFIG);
  if (!known.includes(context))
    throw new UserError(
      `the kubeconfig has no context ${context}; ` +
        (known.length > 0 ? `name one of ${known.join(", ")}.` : "set KUBECONFIG to one that has."),
    );
  await step("Docker", dockerAnswers);
  await step("Pulumi", ensurePulumi);
  await step(`Context ${context}`, () => useContext(stack, context));
}

/** The names of all contexts. @param variable KUBECONFIG; default ~/.kube/config */
export function contexts(variable: string | undefined): string[] {
  const files = variable?.split(delimiter) ?? [join(homedir(), ".kube", "config")];
  return files
    .filter((file) => existsSync(file))
    .flatMap((file) => (parse(readFileSync(file, "utf8")) as { contexts?: { name: string }[] } | null)?.contexts ?? [])
    .map(({ name }) => name);
}

async function dockerAnswers(): Promise<void> {
  const version = await execa("docker", ["version"], { reject: false, timeout: 10_000 });
  if (version.failed)
    throw new UserError(
      "Docker, which builds the images, doesn't answer: start it, or set DOCKER_HOST, then run again.",
    );
}
