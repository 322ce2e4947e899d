/** Webhooks that have not arrived: for the admin to look at, and to send again. */
import { HttpCode, Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { DeliveryStore } from "../store/deliveryStore.ts";
import { Allow } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
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

@Controller("v1/webhook-deliveries")
@UseGuards(CallerGuard)
export class WebhooksController {
  constructor(@Inject(DeliveryStore) private readonly store: DeliveryStore) {}

  @Get()
  @Allow("admin")
  @Describe({
    summary: "Webhooks that have not arrived, newest first; those with state=dead are not tried any more",
    answers: { 200: { description: "A page.", json: Page } },
  })
  async listWebhookDeliveries(
    @Query({ schema: ListQuery }) { state, tenant, limit, cursor }: ListQuery,
  ): Promise<z.infer<typeof Page>> {
    const page = await this.store.list({ state, tenant }, limit, cursor);
    if (page === undefined) {
      throw invalidInput([{ path: ["cursor"], message: "must be a nextCursor of an earlier answer" }]);
    }
    return { items: page.items.map(toDeliveryJson), nextCursor: page.nextCursor };
  }

  @Post(":id/redeliver")
  @HttpCode(202)
  @Allow("admin")
  @Describe({
    summary: "Send a webhook again, at once and as often as a new one",
    answers: { 202: { description: "The delivery.", json: DeliveryJson } },
  })
  async redeliverWebhook(@Param({ schema: IdParams }) { id }: IdParams): Promise<DeliveryJson> {
    return toDeliveryJson(found(await this.store.redeliver(id), id, "delivery"));
  }
}
