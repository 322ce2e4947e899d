/** A stack's settings on a machine where Berth's addresses were moved by BERTH_NETWORK, BERTH_REGISTRY_PORT or BERTH_API_PORT. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiNodePort, nodeIp, registry, root, stateDir } from "../lib/paths.ts";

/** The settings with the addresses in place of the usual ones, with which they are written. Pure. */
export const withAddresses = (settings: string, to: { registry: string; apiNodePort: number; nodeIp: string }) =>
  settings
    .replaceAll("127.0.0.1:5000", to.registry)
    .replaceAll("30080", String(to.apiNodePort))
    .replaceAll("10.200.0.1/", `${to.nodeIp}/`);

const written = (stack: string) => readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8");

/** The stack's settings for this machine, as YAML. */
export const settingsOf = (stack: string) => withAddresses(written(stack), { registry, apiNodePort, nodeIp });

/** Pulumi's options that name the file with this machine's settings; none where nothing was moved. */
export function movedConfig(stack: string): string[] {
  const moved = settingsOf(stack);
  if (moved === written(stack)) return [];
  const file = join(stateDir, `Pulumi.${stack}.yaml`);
  writeFileSync(file, moved);
  return [`--config-file=${file}`];
}
