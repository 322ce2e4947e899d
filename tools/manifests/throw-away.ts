/** Stacks that have nothing to do with those of the shell, and stacks that live for one call. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, PulumiCommand, type PulumiFn, type Stack } from "@pulumi/pulumi/automation/index.js";
import type { RecordedResource } from "../../infra/testing/record.ts";
import { pulumiHome, pulumiRoot } from "../../local/pulumi/tools.ts";

/**
 * Makes a stack of the recorded Kubernetes resources, for `use` to preview or bring up, and forgets it afterwards. It reaches
 * no cluster.
 * @param directory into which the Kubernetes provider writes the objects as YAML
 */
export const withRenderedStack = <T>(
  name: string,
  resources: RecordedResource[],
  directory: string,
  use: (stack: Stack) => Promise<T>,
): Promise<T> => withThrowAwayStack(name, () => register(resources, directory), use);

/**
 * Makes a stack of the program, and forgets it afterwards. Pulumi must be there (`ensurePulumi`).
 * @param kubeconfig default: one without a cluster, whatever cluster the shell knows
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
    const stack = await openOwnStack({
      name,
      project: "berth",
      program: async () => program(),
      backend,
      tools: { root: pulumiRoot, home },
      env: { KUBECONFIG: kubeconfig },
    });
    return await use(stack);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What works on a stack: a command line, and a PULUMI_HOME with plugins. */
export interface Tools {
  root: string;
  home: string;
}

/**
 * Opens a stack, which is made if it isn't there. The stack has the backend, the home and the passphrase that are its own,
 * whatever the environment says: a shell that knows the production backend must not make a stack there.
 * @param backend a folder
 * @param env more variables, over the shell's
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
      // Without one, Pulumi makes a folder that nobody removes.
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

/** A resource of any type: what the SDK's classes add to inputs is in the record already. */
class Recorded extends pulumi.CustomResource {}

function register(resources: RecordedResource[], renderYamlToDirectory: string): void {
  const provider = new k8s.Provider("render", { renderYamlToDirectory });
  for (const { type, name, inputs, protect = false, read } of resources)
    if (type.startsWith("kubernetes:") && !read)
      new Recorded(type, name, inputs as pulumi.Inputs, { provider, protect });
}
