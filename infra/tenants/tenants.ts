import type * as pulumi from "@pulumi/pulumi";
import type { TenantConfig } from "../config/tenant.ts";
import { Tenant, type TenantArgs } from "./tenant.ts";
import type { TenantEntry } from "./tenants-file.ts";

export interface Tenants {
  /** The resources of all tenants, including those that are being removed. */
  all: Tenant[];
  /** The tenants' entries in the tenants file. */
  entries: pulumi.Output<TenantEntry>[];
  /** The names of the tenants with `remove: true`. */
  closed: string[];
  /** The generated API keys, by tenant and name. */
  keys: Record<string, Tenant["keys"]>;
  namespaces: Record<string, pulumi.Output<string>>;
}

/**
 * Makes the tenants of the config. A tenant with `remove: true` is closed: its resources still exist, but the tenants file has
 * only its name. So the runtime ends the tenant's sessions and accepts none of its keys.
 */
export function makeTenants(
  tenants: TenantConfig[],
  args: Omit<TenantArgs, "tenant">,
  opts: pulumi.ComponentResourceOptions,
): Tenants {
  const all = tenants.map((tenant) => new Tenant(`tenant-${tenant.name}`, { ...args, tenant }, opts));
  const open = all.filter(({ tenant }) => !tenant.remove);
  return {
    all,
    entries: open.map(({ entry }) => entry),
    closed: tenants.filter(({ remove }) => remove).map(({ name }) => name),
    keys: Object.fromEntries(open.map(({ tenant, keys }) => [tenant.name, keys])),
    namespaces: Object.fromEntries(open.map(({ tenant, namespace }) => [tenant.name, namespace])),
  };
}
