/** Runs the Pulumi program, so that a stack can be brought up again after any interruption. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand, type UpOptions } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { kubernetesDir } from "../cluster/build.ts";
import { UserError } from "../lib/steps.ts";
import { freeLock } from "./lock.ts";
import { movedConfig } from "./moved.ts";
import { newsFilter } from "./progress.ts";
import { languageHostDir, pulumiBin, pulumiHome, pulumiRoot } from "./tools.ts";

const { dockerSocket, kubeconfig, noProxy, registry, stateDir } = machine;

/** What `infra/index.ts` exports. */
export interface StackOutputs {
  apiUrl: string;
  /** API keys by tenant and name; each tenant has one named `default`, unless its config says otherwise. */
  tenantKeys: Record<string, Record<string, string>>;
  adminKey: string;
  tenantNamespaces: Record<string, string>;
  /** By digest. */
  apiImage: string;
  agentImage: string;
  berthdImage: string;
}

/** `local`: the cluster and the Docker daemon of `npm run up`; `own`: those of the user's shell. */
export type Cluster = "local" | "own";

const backend = join(stateDir, "pulumi");

/** Put before PATH: the checkout's Node, which runs the program, pulumi, its language host, and kubectl. */
const path = [join(root, "node_modules", ".bin"), pulumiBin, languageHostDir, kubernetesDir];

/** The variables with which `pulumi` works on the stack; PATH is in `stackEnvironment` only. */
const settings = (cluster: Cluster): Record<string, string> => ({
  PULUMI_HOME: pulumiHome(),
  PULUMI_BACKEND_URL: `file://${backend}`,
  // The state is readable by root of this machine only, and so is the cluster that its secrets are for.
  PULUMI_CONFIG_PASSPHRASE: "",
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  ...(cluster === "local" && {
    KUBECONFIG: kubeconfig,
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    DOCKER_HOST: `unix://${dockerSocket}`,
    // For compose.yaml: the registry's images have digests of their own.
    BERTH_BASE_REGISTRY: `${registry}/`,
    BERTH_BASE_DIGEST: "",
  }),
});

/** The environment for `pulumi` as a child process. */
export const stackEnvironment = (cluster: Cluster = "local"): Record<string, string> => ({
  ...settings(cluster),
  PATH: [...path, process.env.PATH ?? ""].join(":"),
});

/** The same as one line for a POSIX shell: `export A='…' B='…' PATH='…':"$PATH"`. */
export function shellLine(cluster: Cluster = "local"): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const variables = Object.entries(settings(cluster)).map(([name, value]) => `${name}=${quote(value)}`);
  return `export ${variables.join(" ")} PATH=${quote(path.join(":"))}:"$PATH"`;
}

const pulumi = (args: string[], cluster: Cluster) =>
  execa("pulumi", [...args, "--non-interactive"], { cwd: root, env: stackEnvironment(cluster) });

/**
 * Brings the stack to what the program says, and shows its progress. Changes nothing where nothing is to change, and
 * repairs what an interrupted run left.
 * @throws UserError when Pulumi fails; it has said why
 */
export async function stackUp(stack: string, cluster: Cluster = "local"): Promise<StackOutputs> {
  await mkdirPrivate(backend);
  await freeLock(backend, stack);
  await pulumi(["stack", "select", stack, "--create"], cluster);
  const interrupted = await dropPendingOperations(stack, cluster);
  // What an interrupted run really did is in the cluster only.
  const configFile = cluster === "local" ? movedConfig(stack) : undefined;
  await shownUp(stack, cluster, { refresh: interrupted, ...(configFile && { configFile }) });
  return await stackOutputs(stack, cluster);
}

/** The outputs of the last `up`, secret ones in plain text. */
export async function stackOutputs(stack: string, cluster: Cluster = "local"): Promise<StackOutputs> {
  const { stdout } = await pulumi(["stack", "output", "--stack", stack, "--json", "--show-secrets"], cluster);
  return JSON.parse(stdout) as StackOutputs;
}

/**
 * Points the stack to the cluster of a kubeconfig context that the user has, in Pulumi.<stack>.yaml.
 * @throws UserError where a registry of the stack is this machine's, which other clusters can't pull from
 */
export async function useContext(stack: string, context: string): Promise<void> {
  await mkdirPrivate(backend);
  await pulumi(["stack", "select", stack, "--create"], "own");
  const { stdout } = await pulumi(["config", "--json", "--stack", stack], "own");
  const config = JSON.parse(stdout) as Record<string, { value?: string }>;
  for (const [key, remedy] of Object.entries(remedies)) {
    const value = config[key]?.value ?? "";
    if (isLoopback(value))
      throw new UserError(`${key} is ${value}, which the cluster ${context} can't reach. ${remedy} --stack ${stack}`);
  }
  await pulumi(["config", "set", "berth:context", context, "--stack", stack], "own");
}

const isLoopback = (registry: string) => /^(localhost|127\.|\[::1\])/.test(registry);

/** What to do about a registry that is this machine's own. */
const remedies = {
  "berth:registry": "Name a registry of yours: pulumi config set berth:registry ghcr.io/you/berth",
  "berth:baseRegistry": "Take the original base images: pulumi config rm berth:baseRegistry",
};

/**
 * Forgets operations that a killed run had begun: what they made is found and taken over (adoptExisting), or made anew.
 * @returns whether there were any
 */
async function dropPendingOperations(stack: string, cluster: Cluster): Promise<boolean> {
  const { stdout } = await pulumi(["stack", "export", "--stack", stack], cluster);
  const state = JSON.parse(stdout) as { deployment: { pending_operations?: unknown[] } };
  if (!state.deployment.pending_operations?.length) return false;
  delete state.deployment.pending_operations;
  await execa("pulumi", ["stack", "import", "--stack", stack, "--non-interactive"], {
    cwd: root,
    env: stackEnvironment(cluster),
    input: JSON.stringify(state),
  });
  return true;
}

/** Runs the program and shows what it has done so far. The program runs in this process, so no language host is needed. */
async function shownUp(stackName: string, cluster: Cluster, options: UpOptions): Promise<void> {
  const envVars = settings(cluster);
  Object.assign(process.env, envVars); // the program looks into the cluster by itself
  const stack = await LocalWorkspace.selectStack(
    { stackName, projectName: "berth", program: async () => await import("../../infra/index.ts") },
    { workDir: root, pulumiHome: pulumiHome(), pulumiCommand: await PulumiCommand.get({ root: pulumiRoot }), envVars },
  );
  const isNews = newsFilter();
  let rest = "";
  const onOutput = (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter(isNews)) console.log(line);
  };
  // The terminal tells Pulumi too, which then ends what it has begun.
  const wait = () => console.log("  Pulumi ends what it has begun. Once more ends it at once.");
  process.on("SIGINT", wait);
  try {
    await stack.up({
      ...options,
      suppressOutputs: true,
      color: "never",
      onOutput,
      onError: (text) => console.error(text),
    });
  } catch {
    throw new UserError("pulumi up failed, as said above; what is done is kept. Mend the cause and run again.");
  } finally {
    process.off("SIGINT", wait);
  }
}

/** Pulumi's state holds keys: root's only. */
async function mkdirPrivate(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}
