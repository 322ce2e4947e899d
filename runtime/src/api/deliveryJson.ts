/** A delivery of one event to one webhook, in the form in which users see it. */
import { z } from "zod";
import { EventJson } from "../domain/event.ts";
import type { KeptDelivery } from "../store/deliveryStore.ts";

export const DeliveryJson = z
  .object({
    id: z.uuid(),
    tenant: z.string(),
    url: z.string().meta({ description: "The webhook's URL without its query, which may contain a secret." }),
    state: z.enum(["pending", "dead"]).meta({ description: "dead: no more attempts are made." }),
    attempts: z.int(),
    nextAt: z.iso.datetime().nullable().meta({ description: "When the next attempt is due." }),
    lastError: z.string().nullable(),
    createdAt: z.iso.datetime(),
    event: EventJson,
  })
  .meta({ id: "WebhookDelivery" });

export type DeliveryJson = z.infer<typeof DeliveryJson>;

/** The webhook's URL without its query, which may contain a secret. */
export function withoutQuery(url: string): string {
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
