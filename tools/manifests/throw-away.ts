/** Stacks that are independent of the shell's Pulumi settings, and stacks that exist only during one call. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, PulumiCommand, type PulumiFn, type Stack } from "@pulumi/pulumi/automation/index.js";
import type { RecordedResource } from "../../infra/testing/record.ts";
import { pulumiHome, pulumiRoot, withoutLogs } from "../../local/pulumi/tools.ts";

/**
 * Creates a stack with the recorded Kubernetes resources, passes it to `use` for a preview or an update, and deletes it
 * afterwards. No cluster is used.
 * @param directory the folder to which the Kubernetes provider writes the objects as YAML
 */
export const withRenderedStack = <T>(
  name: string,
  resources: RecordedResource[],
  directory: string,
  use: (stack: Stack) => Promise<T>,
): Promise<T> => withThrowAwayStack(name, () => register(resources, directory), use);

/**
 * Creates a stack with the program, and deletes the stack afterwards. Pulumi must be installed (`ensurePulumi`).
 * @param kubeconfig default: a kubeconfig without a cluster, whatever cluster the shell uses
 */
export async function withThrowAwayStack<T>(
  name: string,
  program: () => void,
  use: (stack: Stack) => Promise<T>,
  kubeconfig = "/dev/null",
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "berth-stack-"));
  const [backend, home] = [join(folder, "backend"), join(folder, "home")];
  try {
    for (const made of [backend, home]) mkdirSync(made);
    symlinkSync(join(pulumiHome(), "plugins"), join(home, "plugins"));
    withoutLogs(home);
    const stack = await openOwnStack({
      name,
      project: "berth",
      program: async () => program(),
      backend,
      tools: { root: pulumiRoot, home },
      // After an interruption nobody needs the state. So Pulumi writes it once and not after each resource, which takes seconds.
      env: { KUBECONFIG: kubeconfig, PULUMI_SKIP_CHECKPOINTS: "true" },
    });
    return await use(stack);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The programs for a stack: the folder of the Pulumi CLI, and a PULUMI_HOME with plugins. */
export interface Tools {
  root: string;
  home: string;
}

/**
 * Opens a stack and creates the stack if it does not exist. The stack has its own backend, home and passphrase, whatever the
 * environment says, because a shell that is configured for the production backend must not create a stack there.
 * @param backend a folder
 * @param env further variables, which override the shell's variables
 */
export const openOwnStack = async ({
  name,
  project,
  program,
  backend,
  tools,
  env = {},
}: {
  name: string;
  project: string;
  program: PulumiFn;
  backend: string;
  tools: Tools;
  env?: Record<string, string>;
}): Promise<Stack> =>
  LocalWorkspace.createOrSelectStack(
    { stackName: name, projectName: project, program },
    {
      // Without a work folder, Pulumi creates one and never deletes it.
      workDir: backend,
      pulumiHome: tools.home,
      pulumiCommand: await PulumiCommand.get({ root: tools.root }),
      projectSettings: { name: project, runtime: "nodejs" },
      envVars: {
        PULUMI_BACKEND_URL: `file://${backend}`,
        PULUMI_CONFIG_PASSPHRASE: "",
        PULUMI_CONFIG_PASSPHRASE_FILE: "",
        PULUMI_ACCESS_TOKEN: "",
        PULUMI_STACK: "",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        ...env,
      },
    },
  );

/**
 * A resource of any type. It needs no class of the SDK, because the recorded inputs already contain what the class would add
 * (for example `apiVersion` and `kind`).
 */
class Recorded extends pulumi.CustomResource {}

function register(resources: RecordedResource[], renderYamlToDirectory: string): void {
  const provider = new k8s.Provider("render", { renderYamlToDirectory });
  for (const { type, name, inputs, protect = false, read } of resources)
    if (type.startsWith("kubernetes:") && !read)
      new Recorded(type, name, inputs as pulumi.Inputs, { provider, protect });
}
