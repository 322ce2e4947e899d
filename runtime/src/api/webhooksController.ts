/**
 * Lists webhook deliveries that have not arrived, and sends them again. A tenant can list its own deliveries, send a single one
 * again, or send its dead ones again, up to 1000 per call. The admin can list the deliveries of all tenants and send any single
 * one again.
 */
import { HttpCode, Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { DeliveryStore } from "../store/deliveryStore.ts";
import { Allow, AnyCaller, Caller, type CallerInfo, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { visibleTenant } from "./access/visibleTenant.ts";
import { DeliveryJson, toDeliveryJson } from "./deliveryJson.ts";
import { found, IdParams, tenantName, wholeNumber } from "./http/input.ts";
import { invalidInput } from "./http/problem.ts";
import { Controller, Get, Param, Post, Query } from "./http/routes.ts";
import { Describe } from "./openApi.ts";

const ListQuery = z.strictObject({
  state: z.enum(["pending", "dead"], "must be pending or dead").optional(),
  tenant: tenantName.optional(),
  limit: wholeNumber(1, 100, 20),
  cursor: z.uuid("must be a nextCursor of an earlier answer").optional(),
});
type ListQuery = z.infer<typeof ListQuery>;

const Page = z
  .object({ items: z.array(DeliveryJson), nextCursor: z.uuid().nullable() })
  .meta({ id: "WebhookDeliveries" });

/** How many dead deliveries one call sends again at most. */
const mostAtOnce = 1_000;

const Redelivered = z
  .object({
    count: z.int().meta({ description: `How many deliveries are sent again. If ${mostAtOnce}: there may be more.` }),
  })
  .meta({ id: "RedeliveredWebhooks" });

@Controller("v1/webhook-deliveries")
@UseGuards(CallerGuard)
export class WebhooksController {
  constructor(@Inject(DeliveryStore) private readonly store: DeliveryStore) {}

  @Get()
  @Allow("read", "admin")
  @Describe({
    summary:
      "List the webhook deliveries that have not arrived, newest first; dead ones are not tried any more. A tenant's key lists its own tenant's",
    answers: { 200: { description: "A page.", json: Page } },
  })
  async listWebhookDeliveries(
    @AnyCaller() caller: CallerInfo,
    @Query({ schema: ListQuery }) { state, tenant, limit, cursor }: ListQuery,
  ): Promise<z.infer<typeof Page>> {
    const page = await this.store.list({ state, tenant: visibleTenant(caller, tenant) }, limit, cursor);
    if (page === undefined) {
      throw invalidInput([{ path: ["cursor"], message: "must be a nextCursor of an earlier answer" }]);
    }
    return { items: page.items.map(toDeliveryJson), nextCursor: page.nextCursor };
  }

  @Post("redeliver")
  @HttpCode(202)
  @Allow("write")
  @Describe({
    summary: `Send the tenant's dead webhook deliveries again, the oldest ${mostAtOnce} of them, with as many attempts as new ones`,
    answers: { 202: { description: "They are sent from now on.", json: Redelivered } },
  })
  async redeliverWebhooks(@Caller() { tenant }: TenantCaller): Promise<z.infer<typeof Redelivered>> {
    return { count: await this.store.redeliverDead(tenant.name, mostAtOnce) };
  }

  @Post(":id/redeliver")
  @HttpCode(202)
  @Allow("write", "admin")
  @Describe({
    summary:
      "Send a webhook delivery again, immediately and with as many attempts as a new one. A tenant's key sends its own tenant's",
    answers: { 202: { description: "The delivery.", json: DeliveryJson } },
  })
  async redeliverWebhook(
    @AnyCaller() caller: CallerInfo,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<DeliveryJson> {
    return toDeliveryJson(found(await this.store.redeliver(id, visibleTenant(caller)), id, "delivery"));
  }
}
