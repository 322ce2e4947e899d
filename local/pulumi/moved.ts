/**
 * Adapts a stack's settings to a machine whose processor is not amd64, or on which BERTH_NETWORK, BERTH_REGISTRY_PORT,
 * BERTH_API_PORT or BERTH_SANDBOX_PORT changes Berth's addresses.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, machine, root } from "../../machine/machine.ts";
import { architecture } from "../lib/obtain.ts";

interface MachineValues extends Pick<Machine, "registry" | "apiNodePort" | "sandboxNodePort" | "nodeIp"> {
  /** The machine's processor, as the names of downloads spell it. */
  architecture: string;
}

/** Returns the settings with the addresses and the processor of `values` in place of the default ones. Pure. */
export const forMachine = (settings: string, values: MachineValues) =>
  settings
    .replaceAll("127.0.0.1:5000", values.registry)
    .replaceAll(/30080|30090/g, (usual) => String(usual === "30080" ? values.apiNodePort : values.sandboxNodePort))
    .replaceAll("10.200.0.1/", `${values.nodeIp}/`)
    .replace(
      /^config:\n/m,
      values.architecture === "amd64" ? "$&" : `$&  berth:platform: linux/${values.architecture}\n`,
    );

const written = (stack: string) => readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8");

/** The stack's settings for this machine, as YAML. */
export const settingsOf = (stack: string) => forMachine(written(stack), { ...machine, architecture });

/** Writes the settings for this machine into a file and returns its path. Returns undefined if the checkout's settings fit. */
export function movedConfig(stack: string): string | undefined {
  const moved = settingsOf(stack);
  if (moved === written(stack)) return undefined;
  const file = join(machine.stateDir, `Pulumi.${stack}.yaml`);
  writeFileSync(file, moved);
  return file;
}
