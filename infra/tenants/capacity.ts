/** How many tenants a stack can have: the tenants file must fit into one Secret. */
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { hasImagePuller } from "../config/image-pullers.ts";
import { sessionPlacement } from "../config/placement.ts";
import { tenantNamespace } from "../config/tenant.ts";
import { keyEntries, type TenantEntry, tenantEntry, tenantsFile } from "./tenants-file.ts";

/** The most that Kubernetes stores in a Secret, in bytes. */
export const mostBytes = 1024 ** 2;

type Sized = Pick<Config, "tenantPrefix" | "tenants" | "adminKeys" | "placement" | "platform" | "prepullAgentImage">;

/** Returns how many tenants fit into the tenants file, counted from the first tenant of the config. */
export function fitting(config: Sized, most = mostBytes): number {
  const sized = config.tenants.map((tenant) => ({ tenant, entry: entryOf(config, tenant) }));
  const admin = { keys: keyEntries(config.adminKeys, hashesOf(config.adminKeys)) };
  const fits = (count: number) => {
    const [open, closed] = [false, true].map((remove) =>
      sized.slice(0, count).filter(({ tenant }) => tenant.remove === remove),
    );
    const tenants = (open ?? []).map(({ entry }) => entry);
    const names = (closed ?? []).map(({ tenant }) => tenant.name);
    return Buffer.byteLength(tenantsFile(9_999_999_999, { admin, tenants, closed: names })) <= most;
  };
  if (fits(sized.length)) return sized.length;
  let [known, tooMany] = [0, sized.length];
  while (tooMany - known > 1) {
    const middle = Math.floor((known + tooMany) / 2);
    if (fits(middle)) known = middle;
    else tooMany = middle;
  }
  return known;
}

/** Placeholders with the length of the hashes. The real hashes are known only during an `up`. */
const hashesOf = (keys: unknown[]) => keys.map(() => "0".repeat(64));

const entryOf = (config: Sized, tenant: Config["tenants"][number]): TenantEntry =>
  tenantEntry(tenant, {
    namespace: tenantNamespace(config, tenant),
    serviceAccount: "agent-runner",
    hashes: hashesOf(tenant.keys),
    placement: sessionPlacement(config, tenant.placement),
    hasImagePuller: hasImagePuller(config, tenant),
  });

/** Ends the program, before it changes anything, if the config has more tenants than fit. */
export function refuseTooMany(config: Sized): void {
  const count = fitting(config);
  const { length } = config.tenants;
  if (count < length)
    throw new pulumi.RunError(
      `tenants: has ${length} entries, but only the first ${count} fit into the Secret of 1 MiB from which the runtime reads its tenants. Nothing was changed. Remove tenants, or move some to another stack in another cluster.`,
    );
}
