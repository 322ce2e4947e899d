/** Stacks that live for one call and reach no cluster: their objects become files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { pulumiHome, pulumiRoot } from "../../local/pulumi/tools.ts";
import type { RecordedResource } from "../testing/record.ts";

/**
 * Makes a stack of the recorded Kubernetes resources, for `use` to preview or bring up, and forgets it afterwards.
 * Pulumi must be there (`ensurePulumi`).
 * @param directory into which the Kubernetes provider writes the objects as YAML
 */
export async function withThrowAwayStack<T>(
  name: string,
  resources: RecordedResource[],
  directory: string,
  use: (stack: Stack) => Promise<T>,
): Promise<T> {
  const backend = mkdtempSync(join(tmpdir(), "berth-stack-"));
  try {
    const stack = await LocalWorkspace.createStack(
      { stackName: name, projectName: "berth", program: async () => register(resources, directory) },
      {
        pulumiHome: pulumiHome(),
        pulumiCommand: await PulumiCommand.get({ root: pulumiRoot }),
        projectSettings: { name: "berth", runtime: "nodejs", backend: { url: `file://${backend}` } },
        envVars: {
          PULUMI_CONFIG_PASSPHRASE: "",
          PULUMI_SKIP_UPDATE_CHECK: "true",
          PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
          // Whatever cluster the shell knows, none is found.
          KUBECONFIG: "/dev/null",
        },
      },
    );
    return await use(stack);
  } finally {
    rmSync(backend, { recursive: true, force: true });
  }
}

/** A resource of any type: what the SDK's classes add to inputs is in the record already. */
class Recorded extends pulumi.CustomResource {}

function register(resources: RecordedResource[], renderYamlToDirectory: string): void {
  const provider = new k8s.Provider("render", { renderYamlToDirectory });
  for (const { type, name, inputs, protect = false, read } of resources)
    if (type.startsWith("kubernetes:") && !read)
      new Recorded(type, name, inputs as pulumi.Inputs, { provider, protect });
}
