/** The stack file of prod for the local cluster: `node -p 'require("./tests/prod-on-this-machine.ts").prodOnThisMachine()'`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { root } from "../local/lib/paths.ts";

type Values = Record<string, unknown>;

const stackFile = (stack: string): { encryptionsalt?: string; config: Values } =>
  parse(readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8"));

/** Pulumi.prod.yaml with the addresses, volumes and tenants of this machine's stack, and a tenth of its requests. */
export function prodOnThisMachine(): string {
  const { encryptionsalt, config: dev } = stackFile("dev");
  const { config: prod } = stackFile("prod");
  const part = (values: Values, key: string) => (values[key] ?? {}) as Values;
  const places = ["context", "registry", "baseRegistry", "publicUrl", "adoptExisting", "buildNetwork", "tenants"];
  const volumes = Object.fromEntries(
    ["berth:postgres", "berth:redis"].map((key) => [key, { ...part(prod, key), ...part(dev, key) }]),
  );
  const config = {
    ...prod,
    ...Object.fromEntries(places.map((key) => [`berth:${key}`, dev[`berth:${key}`]])),
    ...volumes,
    "berth:api": { ...part(prod, "berth:api"), nodePort: part(dev, "berth:api").nodePort },
    // No controller runs here: users come by the node's port.
    "berth:ingress": { ...part(prod, "berth:ingress"), controllerNamespace: null },
    "berth:protectData": false,
    "berth:requestScale": 0.1,
  };
  return stringify({ encryptionsalt, config });
}
