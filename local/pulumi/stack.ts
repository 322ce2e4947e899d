/** Runs the Pulumi program. After any interruption, a new run completes the stack. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand, type UpOptions } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import { machine, root } from "../../machine/machine.ts";
import { kubernetesDir } from "../cluster/build.ts";
import { quoted } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";
import { freeLock } from "./lock.ts";
import { movedConfig } from "./moved.ts";
import { newsFilter } from "./progress.ts";
import { languageHostDir, pulumiBin, pulumiHome, pulumiRoot } from "./tools.ts";

const { dockerSocket, kubeconfig, noProxy, registry, stateDir } = machine;

/** The outputs that `infra/index.ts` exports. */
export interface StackOutputs {
  apiUrl: string;
  /** API keys by tenant and by key name. Each tenant has a key named `default`, unless its config names other keys. */
  tenantKeys: Record<string, Record<string, string>>;
  adminKey: string;
  tenantNamespaces: Record<string, string>;
  /** The references of Berth's three images, each with its digest. */
  apiImage: string;
  agentImage: string;
  berthdImage: string;
}

const backend = join(stateDir, "pulumi");

/**
 * The folders that go before PATH. They contain the checkout's Node, which runs the program, and pulumi, its language host and
 * kubectl.
 */
const path = [join(root, "node_modules", ".bin"), pulumiBin, languageHostDir, kubernetesDir];

/** The environment variables that `pulumi` needs for the stack, except PATH, which `stackEnvironment` adds. */
const settings = (): Record<string, string> => ({
  PULUMI_HOME: pulumiHome(),
  PULUMI_BACKEND_URL: `file://${backend}`,
  // The passphrase is empty, because only root of this machine can read the state, and only root can reach the cluster.
  PULUMI_CONFIG_PASSPHRASE: "",
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  KUBECONFIG: kubeconfig,
  NO_PROXY: noProxy,
  no_proxy: noProxy,
  DOCKER_HOST: `unix://${dockerSocket}`,
  // compose.yaml needs these variables, because images in the local registry have other digests than the originals.
  BERTH_BASE_REGISTRY: `${registry}/`,
  BERTH_BASE_DIGEST: "",
});

/** The environment for `pulumi` as a child process. */
export const stackEnvironment = (): Record<string, string> => ({
  ...settings(),
  PATH: [...path, process.env.PATH ?? ""].join(":"),
});

/** Returns the variables of `stackEnvironment` as one line for a POSIX shell: `export A='…' B='…' PATH='…':"$PATH"`. */
export function shellLine(): string {
  const variables = Object.entries(settings()).map(([name, value]) => `${name}=${quoted(value)}`);
  return `export ${variables.join(" ")} PATH=${quoted(path.join(":"))}:"$PATH"`;
}

const pulumi = (args: string[], input = "") =>
  execa("pulumi", [...args, "--non-interactive"], { cwd: root, env: stackEnvironment(), input });

/**
 * Updates the stack to the state that the program declares, and shows the progress. Changes nothing if the stack is up to date.
 * Repairs the stack after an interrupted run.
 * @throws UserError when Pulumi fails. Pulumi has then printed the reason
 */
export async function stackUp(stack: string): Promise<StackOutputs> {
  await freeLock(backend, stack);
  await ensureStack(stack);
  const interrupted = await dropPendingOperations(stack);
  // After an interrupted run, only a refresh from the cluster shows which changes the run made.
  const configFile = movedConfig(stack);
  await shownUp(stack, { refresh: interrupted, ...(configFile && { configFile }) });
  return await stackOutputs(stack);
}

/** Creates the stack, without resources, unless it exists. */
export async function ensureStack(stack: string): Promise<void> {
  // Only root may read the folder, because Pulumi's state contains keys.
  await mkdir(backend, { recursive: true, mode: 0o700 });
  await pulumi(["stack", "select", stack, "--create"]);
}

/** The outputs of the last `up`, with secrets in plain text. */
export async function stackOutputs(stack: string): Promise<StackOutputs> {
  const { stdout } = await pulumi(["stack", "output", "--stack", stack, "--json", "--show-secrets"]);
  return JSON.parse(stdout) as StackOutputs;
}

/**
 * Removes the pending operations of a killed run from the state. If a pending operation made a Kubernetes object, the next run
 * adopts the object (adoptExisting). If a pending operation made anything else, such as an image, the next run makes it again.
 * @returns whether there were pending operations
 */
async function dropPendingOperations(stack: string): Promise<boolean> {
  const { stdout } = await pulumi(["stack", "export", "--stack", stack]);
  const state = JSON.parse(stdout) as { deployment: { pending_operations?: unknown[] } };
  if (!state.deployment.pending_operations?.length) return false;
  delete state.deployment.pending_operations;
  await pulumi(["stack", "import", "--stack", stack], JSON.stringify(state));
  return true;
}

/** Runs the program and shows the progress. The program runs in this process, so no language host is needed. */
async function shownUp(stackName: string, options: UpOptions): Promise<void> {
  const envVars = settings();
  Object.assign(process.env, envVars); // the program itself reads from the cluster
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
  // The terminal sends Ctrl-C to Pulumi too. Pulumi then completes the operations that it has begun.
  const wait = () =>
    console.log("  Pulumi completes the operations that it has begun. A second Ctrl-C ends Pulumi at once.");
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
    throw new UserError(
      "pulumi up failed for the reason above. Finished changes are kept. Remove the cause, then run the command again.",
    );
  } finally {
    process.off("SIGINT", wait);
  }
}
