import type * as pulumi from "@pulumi/pulumi";
import type { TenantConfig } from "../config/tenant.ts";
import { Tenant, type TenantArgs } from "./tenant.ts";
import type { TenantEntry } from "./tenants-file.ts";

export interface Tenants {
  /** Each tenant's resources, those of the closed ones too. */
  all: Tenant[];
  /** What the runtime knows of them. */
  entries: pulumi.Output<TenantEntry>[];
  /** The names of those that say `remove: true`. */
  closed: string[];
  /** Their generated API keys by tenant and name. */
  keys: Record<string, Tenant["keys"]>;
  namespaces: Record<string, pulumi.Output<string>>;
}

/**
 * The tenants of the config. One that says `remove: true` is closed: it is still there, but the runtime is told only that it
 * is closed, so that the runtime ends its sessions and takes no key of it.
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
