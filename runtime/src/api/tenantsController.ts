/** Shows the tenants of the stack's config, with the number of their sessions. Only the config can change a tenant. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { TenantsFile } from "../config/tenantsFile.ts";
import { liveStates, type State } from "../domain/states/state.ts";
import { scopes, type Tenant } from "../domain/tenants.ts";
import { SessionCounts } from "../store/sessionCounts.ts";
import { Allow, AnyCaller, type CallerInfo } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { maySee } from "./access/visibleTenant.ts";
import { withoutQuery } from "./deliveryJson.ts";
import { found, tenantName } from "./http/input.ts";
import { Controller, Get, Param } from "./http/routes.ts";
import { Describe } from "./openApi.ts";

const pools = z.object({ small: z.int(), medium: z.int(), large: z.int() });

const TenantJson = z
  .object({
    name: z.string(),
    namespace: z.string(),
    maxSessions: z.int().meta({ description: "How many sessions may have a pod at the same time; others wait." }),
    quota: z
      .object({
        requestsCpu: z.string(),
        limitsCpu: z.string(),
        requestsMemory: z.string(),
        limitsMemory: z.string(),
        pods: z.string(),
        storage: z.string(),
      })
      .meta({ description: "The namespace's ResourceQuota." }),
    sessions: z
      .object(
        Object.fromEntries(liveStates.map((state) => [state, z.int()])) as Record<
          (typeof liveStates)[number],
          z.ZodInt
        >,
      )
      .meta({ description: "The number of sessions in each state. Sessions that have ended are not counted." }),
    idleTimeoutSeconds: z.int().nullable(),
    maxLifetimeSeconds: z.int().nullable(),
    retentionSeconds: z.int(),
    priority: z.int(),
    exec: z.boolean(),
    onDrain: z.enum(["end", "resume"]),
    workspace: z.object({ mode: z.enum(["persistent", "ephemeral"]), size: z.string() }),
    warmPools: pools.meta({ description: "How many warm sessions with the platform's image are kept ready." }),
    images: z
      .array(z.object({ name: z.string(), image: z.string(), desktop: z.boolean(), warmPools: pools }))
      .meta({ description: "The images that sessions may name in `image`." }),
    keys: z.array(
      z.object({
        name: z.string(),
        scopes: z.array(z.enum(scopes)),
        expiresAt: z.iso.datetime({ offset: true }).nullable(),
      }),
    ),
    webhooks: z.array(z.string()).meta({ description: "Their URLs, without the parts that may be secret." }),
  })
  .meta({ id: "Tenant" });
type TenantJson = z.infer<typeof TenantJson>;

const TenantsJson = z.object({ items: z.array(TenantJson) }).meta({ id: "Tenants" });

const NameParams = z.object({ tenant: tenantName });

type Counts = { tenant: string; state: State; count: number }[];

@Controller("v1/tenants")
@UseGuards(CallerGuard)
export class TenantsController {
  constructor(
    @Inject(TenantsFile) private readonly tenants: TenantsFile,
    @Inject(SessionCounts) private readonly counts: SessionCounts,
  ) {}

  @Get()
  @Allow("admin")
  @Describe({
    summary: "List all tenants, each with its quota and how many of its sessions are in each state",
    answers: { 200: { description: "The tenants.", json: TenantsJson } },
  })
  async listTenants(): Promise<z.infer<typeof TenantsJson>> {
    const counts = await this.counts.byTenantAndState();
    return { items: this.tenants.all().map((tenant) => toTenantJson(tenant, counts)) };
  }

  @Get(":tenant")
  @Allow("read", "admin")
  @Describe({
    summary:
      "A tenant with its quota and how many of its sessions are in each state; a tenant's key may read only that tenant",
    answers: { 200: { description: "The tenant.", json: TenantJson } },
  })
  async getTenant(
    @AnyCaller() caller: CallerInfo,
    @Param({ schema: NameParams }) { tenant: name }: z.infer<typeof NameParams>,
  ): Promise<TenantJson> {
    const tenant = found(maySee(caller, name) ? this.tenants.get(name) : undefined, name, "tenant");
    return toTenantJson(tenant, await this.counts.byTenantAndState(name));
  }
}

/** Copies the tenant field by field, so that no answer contains hashes of keys or secrets of webhooks. */
function toTenantJson(tenant: Tenant, counts: Counts): TenantJson {
  const { name, namespace, maxSessions, quota, idleTimeoutSeconds, maxLifetimeSeconds, retentionSeconds } = tenant;
  const { priority, exec, onDrain, workspace, warmPools, images, keys, webhooks } = tenant;
  const count = (state: string) => counts.find((one) => one.tenant === name && one.state === state)?.count ?? 0;
  return {
    name,
    namespace,
    maxSessions,
    quota,
    sessions: Object.fromEntries(liveStates.map((state) => [state, count(state)])) as TenantJson["sessions"],
    idleTimeoutSeconds,
    maxLifetimeSeconds,
    retentionSeconds,
    priority,
    exec,
    onDrain,
    workspace: { mode: workspace.mode, size: workspace.size },
    warmPools,
    images: images.map(({ name, image, desktop, warmPools }) => ({ name, image, desktop, warmPools })),
    keys: keys.map(({ name, scopes, expiresAt }) => ({ name, scopes, expiresAt })),
    webhooks: webhooks.map(({ url }) => withoutQuery(url)),
  };
}
