/** Reads a stack's config and outputs with the user's own Pulumi, from the user's own backend. */
import { execa } from "execa";
import { type Config, parseConfig } from "../../infra/config/config.ts";
import type { ClusterAccess } from "../../infra/kubernetes/cluster.ts";
import { root } from "../../machine/machine.ts";
import { UserError } from "../../machine/userError.ts";
import type { Outputs } from "./check.ts";

/** Runs `pulumi` and returns its standard output. @throws UserError with Pulumi's own message */
export type Pulumi = (args: string[]) => Promise<string>;

export const pulumi: Pulumi = async (args) => {
  const run = await execa("pulumi", [...args, "--non-interactive"], { cwd: root, reject: false });
  if (run.code === "ENOENT")
    throw new UserError(
      'the command pulumi was not found. Install Pulumi, or for the stack dev run: eval "$(npm run -s env)"',
    );
  if (run.failed) throw new UserError(`pulumi ${args.slice(0, 2).join(" ")} failed: ${run.stderr.trim()}`);
  return run.stdout;
};

/**
 * The stack's config.
 * @throws UserError if the stack does not exist, or with one line for each fault of the config
 */
export async function readConfig(stack: string, run: Pulumi = pulumi): Promise<Config> {
  const text = await run(["config", "--json", "--show-secrets", "--stack", stack]);
  const entries = Object.entries(JSON.parse(text) as Record<string, { value: string }>);
  const values = entries.flatMap(([key, { value }]) => (key.startsWith("berth:") ? [[key.slice(6), value]] : []));
  const { config, faults } = parseConfig(Object.fromEntries(values));
  if (config) return config;
  throw new UserError([`Pulumi.${stack.split("/").at(-1)}.yaml is invalid:`, ...faults].join("\n"));
}

/** The outputs of the stack's last `up`; undefined before the first `up`. */
export async function readOutputs(stack: string, run: Pulumi = pulumi): Promise<Outputs | undefined> {
  const outputs = JSON.parse(await run(["stack", "output", "--json", "--show-secrets", "--stack", stack]));
  return outputs.apiUrl === undefined ? undefined : outputs;
}

/** Returns the context and the kubeconfig with which the Pulumi program reaches the stack's cluster. */
export async function readAccess(
  { context, kubeconfig }: Pick<Config, "context" | "kubeconfig">,
  run: Pulumi = pulumi,
): Promise<ClusterAccess> {
  if (kubeconfig === null) return { context };
  if (typeof kubeconfig === "string") return { context, kubeconfig };
  const { stack, output } = kubeconfig;
  return { context, kubeconfig: (await run(["stack", "output", output, "--show-secrets", "--stack", stack])).trim() };
}
