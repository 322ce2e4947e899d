/** A tenant is removed in two steps: its entry says `remove: true`, then it is taken out. */
import * as pulumi from "@pulumi/pulumi";
import type { TenantConfig } from "../config/tenant.ts";

/** What is wrong with taking these tenants out; undefined where none of the known is missing. */
export function vanished(known: string[], tenants: Pick<TenantConfig, "name">[]): string | undefined {
  const missing = known.filter((name) => !tenants.some((tenant) => tenant.name === name));
  if (missing.length === 0) return undefined;
  const [tenant, has, it] = missing.length === 1 ? ["the tenant", "has", "it"] : ["the tenants", "have", "them"];
  return `${tenant} ${missing.join(", ")} ${has} no entry under \`tenants\` any more; nothing was changed. To remove ${it} with all sessions and workspaces, put the entry back with \`remove: true\`, run \`pulumi up\`, then take it out.`;
}

/**
 * Ends the program, before anything is touched, where a tenant's entry is missing that the last `up` had and that wasn't
 * marked. The namespaces are protected besides, should the last `up` have failed before it could tell.
 */
export async function refuseVanished(tenants: TenantConfig[]): Promise<void> {
  const self = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { value } = await new pulumi.StackReference("last-up", { name: self }).getOutputDetails("tenantNamespaces");
  const fault = vanished(Object.keys(value ?? {}), tenants);
  if (fault) throw new pulumi.RunError(fault);
}
