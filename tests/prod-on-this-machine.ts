/** The config of the stack prod, adapted to the local cluster. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "../machine/machine.ts";
import type { StackFile } from "./pulumi.ts";

type Config = StackFile["config"];

/**
 * Returns the config of Pulumi.prod.yaml with this machine's addresses, volumes and tenants, without deletion protection, and
 * with a tenth of the resource requests.
 */
export function prodOnThisMachine(dev: Config): Config {
  const { config: prod } = parse(readFileSync(join(root, "Pulumi.prod.yaml"), "utf8")) as StackFile;
  const part = (config: Config, key: string) => (config[key] ?? {}) as Record<string, unknown>;
  const places = "context registry baseRegistry publicUrl adoptExisting buildNetwork adapter kubernetesApi".split(" ");
  const stores = ["berth:postgres", "berth:redis", "berth:prometheus"];
  return {
    ...prod,
    ...Object.fromEntries(places.map((key) => [`berth:${key}`, dev[`berth:${key}`]])),
    ...Object.fromEntries(stores.map((key) => [key, { ...part(prod, key), ...part(dev, key) }])),
    "berth:tenants": dev["berth:tenants"],
    "berth:api": { ...part(prod, "berth:api"), nodePort: part(dev, "berth:api").nodePort },
    // The local cluster does not know HTTPRoutes, so prod gets an Ingress, which every cluster knows. No ingress controller runs
    // here, so users connect to the node port.
    "berth:ingress": { controller: "haproxy", controllerNamespace: null },
    "berth:protectData": false,
    "berth:requestScale": 0.1,
  };
}
