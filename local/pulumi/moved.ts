/**
 * A stack's settings on a machine where Berth's addresses were moved by BERTH_NETWORK, BERTH_REGISTRY_PORT or BERTH_API_PORT, or
 * that has another processor than most.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, machine, root } from "../../machine/machine.ts";
import { architecture } from "../lib/obtain.ts";

const { apiNodePort, nodeIp, registry, stateDir } = machine;

interface Place extends Pick<Machine, "registry" | "apiNodePort" | "nodeIp"> {
  /** As downloads name it. */
  architecture: string;
}

/** The settings with what the machine has in place of the usual, with which they are written. Pure. */
export const forMachine = (settings: string, { registry, apiNodePort, nodeIp, architecture }: Place) =>
  settings
    .replaceAll("127.0.0.1:5000", registry)
    .replaceAll("30080", String(apiNodePort))
    .replaceAll("10.200.0.1/", `${nodeIp}/`)
    .replace(/^config:\n/m, architecture === "amd64" ? "$&" : `$&  berth:platform: linux/${architecture}\n`);

const written = (stack: string) => readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8");

/** The stack's settings for this machine, as YAML. */
export const settingsOf = (stack: string) =>
  forMachine(written(stack), { registry, apiNodePort, nodeIp, architecture });

/** The file with this machine's settings; undefined where nothing was moved. */
export function movedConfig(stack: string): string | undefined {
  const moved = settingsOf(stack);
  if (moved === written(stack)) return undefined;
  const file = join(stateDir, `Pulumi.${stack}.yaml`);
  writeFileSync(file, moved);
  return file;
}
