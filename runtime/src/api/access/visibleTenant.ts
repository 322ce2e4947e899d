/** Decides whose data a caller may see: a tenant its own, the admin those of all tenants. */
import { invalidInput, type Problem } from "../http/problem.ts";
import type { CallerInfo } from "./caller.ts";

/** Whether the caller may see the tenant's data. The function does not check whether the tenant exists. */
export const maySee = (caller: CallerInfo, tenant: string): boolean =>
  caller.role === "admin" || caller.tenant.name === tenant;

/**
 * The tenant whose data the caller gets; undefined: the data of all tenants.
 * @param wanted the tenant that the request names. Default: all that the caller may see
 * @throws the 400 of `tenantIsHidden`, if the caller may not see the wanted tenant
 */
export function visibleTenant(caller: CallerInfo, wanted?: string): string | undefined {
  if (wanted === undefined) return caller.role === "admin" ? undefined : caller.tenant.name;
  if (!maySee(caller, wanted)) throw tenantIsHidden();
  return wanted;
}

/** The 400 for a query whose `tenant` does not exist or is hidden from the caller. So callers can't find out which tenants exist. */
export const tenantIsHidden = (): Problem =>
  invalidInput([{ path: ["tenant"], message: "must be a tenant that this key may read" }]);
