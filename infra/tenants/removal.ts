/**
 * An operator removes a tenant in two steps: set `remove: true` in the tenant's entry, and after an `up` remove the entry.
 */
import * as pulumi from "@pulumi/pulumi";
import type { TenantConfig } from "../config/tenant.ts";

/** Returns an error text if a tenant whose name is in `known` has no entry in the config; otherwise undefined. */
export function vanished(known: string[], tenants: Pick<TenantConfig, "name">[]): string | undefined {
  const missing = known.filter((name) => !tenants.some((tenant) => tenant.name === name));
  if (missing.length === 0) return undefined;
  const [tenant, has, it] = missing.length === 1 ? ["the tenant", "has", "it"] : ["the tenants", "have", "them"];
  return `${tenant} ${missing.join(", ")} ${has} no entry under \`tenants\` any more. Nothing was changed. To remove ${it} with all sessions and workspaces, add the entry again with \`remove: true\`, run \`pulumi up\`, then remove the entry.`;
}

/**
 * Checks the tenants that had an entry without `remove: true` in the last `up`. If one of them now has no entry, this function
 * ends the program before the program changes anything. If the last `up` failed and its tenants are unknown, Pulumi's protection
 * of the namespaces still prevents a deletion.
 */
export async function refuseVanished(tenants: TenantConfig[]): Promise<void> {
  const self = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { value } = await new pulumi.StackReference("last-up", { name: self }).getOutputDetails("tenantNamespaces");
  const fault = vanished(Object.keys(value ?? {}), tenants);
  if (fault) throw new pulumi.RunError(fault);
}
