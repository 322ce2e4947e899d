/** Serves for how many seconds each tenant's sessions have run, by day and tier. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { TenantsFile } from "../config/tenantsFile.ts";
import { tierNames } from "../domain/tiers.ts";
import { Usage } from "../store/usage.ts";
import { Allow, AnyCaller, type CallerInfo } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { tenantIsHidden, visibleTenant } from "./access/visibleTenant.ts";
import { tenantName } from "./http/input.ts";
import { invalidInput } from "./http/problem.ts";
import { Controller, Get, Query } from "./http/routes.ts";
import { Describe } from "./openApi.ts";

const dayMs = 86_400_000;
const maxDays = 366;

const day = z.iso.date("must be a day as YYYY-MM-DD");

const UsageQuery = z.strictObject({
  from: day.optional().meta({ description: "The first day, in UTC. Default: 29 days before `to`." }),
  to: day.optional().meta({ description: "The last day, in UTC. Default: today." }),
  tenant: tenantName.optional().meta({ description: "With the admin's key: only this tenant. Default: all tenants." }),
});
type UsageQuery = z.infer<typeof UsageQuery>;

const UsageJson = z
  .object({
    from: z.iso.date(),
    to: z.iso.date(),
    items: z.array(
      z.object({
        tenant: z.string(),
        day: z.iso.date(),
        tier: z.enum(tierNames),
        seconds: z.number().meta({ description: "For how many seconds the sessions of this tier ran in total." }),
      }),
    ),
  })
  .meta({ id: "Usage" });
type UsageJson = z.infer<typeof UsageJson>;

@Controller("v1/usage")
@UseGuards(CallerGuard)
export class UsageController {
  constructor(
    @Inject(Usage) private readonly usage: Usage,
    @Inject(TenantsFile) private readonly tenants: TenantsFile,
  ) {}

  @Get()
  @Allow("read", "admin")
  @Describe({
    summary: "Seconds by tenant, day and tier, computed from the audit trail; a tenant's key may read its own tenant",
    answers: { 200: { description: "The usage. Days and tiers without usage are left out.", json: UsageJson } },
  })
  async getUsage(
    @AnyCaller() caller: CallerInfo,
    @Query({ schema: UsageQuery }) query: UsageQuery,
  ): Promise<UsageJson> {
    const { from, to } = rangeOf(query);
    const names = this.#tenantsOf(caller, query.tenant);
    const items: UsageJson["items"] = [];
    for (const tenant of names) {
      for (const used of await this.usage.ofTenant(tenant, from, to)) items.push({ tenant, ...used });
    }
    return { from, to, items };
  }

  #tenantsOf(caller: CallerInfo, wanted: string | undefined): string[] {
    const tenant = visibleTenant(caller, wanted);
    if (tenant === undefined) return this.tenants.all().map(({ name }) => name);
    if (caller.role === "admin" && this.tenants.get(tenant) === undefined) throw tenantIsHidden();
    return [tenant];
  }
}

function rangeOf({ from, to }: UsageQuery): { from: string; to: string } {
  const last = to ?? new Date().toISOString().slice(0, 10);
  const first =
    from ?? new Date(Math.max(Date.parse(last) - 29 * dayMs, Date.parse("0001-01-01"))).toISOString().slice(0, 10);
  const days = (Date.parse(last) - Date.parse(first)) / dayMs + 1;
  if (days < 1) throw invalidInput([{ path: ["from"], message: "must not be after to" }]);
  if (days > maxDays)
    throw invalidInput([{ path: ["from"], message: `must be at most ${maxDays - 1} days before to` }]);
  return { from: first, to: last };
}
