/** One event for one webhook, as users see it. */
import { z } from "zod";
import { EventJson } from "../domain/event.ts";
import type { KeptDelivery } from "../store/deliveryStore.ts";

export const DeliveryJson = z
  .object({
    id: z.uuid(),
    tenant: z.string(),
    url: z.string().meta({ description: "Without its query, which may be secret." }),
    state: z.enum(["pending", "dead"]).meta({ description: "dead: not tried any more." }),
    attempts: z.int(),
    nextAt: z.iso.datetime().nullable().meta({ description: "When it is tried next." }),
    lastError: z.string().nullable(),
    createdAt: z.iso.datetime(),
    event: EventJson,
  })
  .meta({ id: "WebhookDelivery" });

export type DeliveryJson = z.infer<typeof DeliveryJson>;

/** The webhook's address as it may be shown. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

export function toDeliveryJson({
  id,
  tenant,
  url,
  state,
  attempts,
  nextAt,
  lastError,
  createdAt,
  event,
}: KeptDelivery): DeliveryJson {
  return {
    id,
    tenant,
    url: withoutQuery(url),
    state,
    attempts,
    nextAt: nextAt?.toISOString() ?? null,
    lastError,
    createdAt: createdAt.toISOString(),
    event,
  };
}
