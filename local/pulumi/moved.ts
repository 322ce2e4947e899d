/**
 * A stack's settings on a machine where Berth's addresses were moved by BERTH_NETWORK, BERTH_REGISTRY_PORT, BERTH_API_PORT or
 * BERTH_SANDBOX_PORT, or that has another processor than most.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { architecture } from "../lib/obtain.ts";
import { apiNodePort, nodeIp, registry, root, sandboxNodePort, stateDir } from "../lib/paths.ts";

interface Machine {
  registry: string;
  apiNodePort: number;
  sandboxNodePort: number;
  nodeIp: string;
  /** As downloads name it. */
  architecture: string;
}

/** The settings with what the machine has in place of the usual, with which they are written. Pure. */
export const forMachine = (
  settings: string,
  { registry, apiNodePort, sandboxNodePort, nodeIp, architecture }: Machine,
) =>
  settings
    .replaceAll("127.0.0.1:5000", registry)
    .replaceAll(/30080|30090/g, (usual) => String(usual === "30080" ? apiNodePort : sandboxNodePort))
    .replaceAll("10.200.0.1/", `${nodeIp}/`)
    .replace(/^config:\n/m, architecture === "amd64" ? "$&" : `$&  berth:platform: linux/${architecture}\n`);

const written = (stack: string) => readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8");

/** The stack's settings for this machine, as YAML. */
export const settingsOf = (stack: string) =>
  forMachine(written(stack), { registry, apiNodePort, sandboxNodePort, nodeIp, architecture });

/** Pulumi's options that name the file with this machine's settings; none where nothing was moved. */
export function movedConfig(stack: string): string[] {
  const moved = settingsOf(stack);
  if (moved === written(stack)) return [];
  const file = join(stateDir, `Pulumi.${stack}.yaml`);
  writeFileSync(file, moved);
  return [`--config-file=${file}`];
}
