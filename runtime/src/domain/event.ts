/** An entry of the audit trail, as users see it. */
import { z } from "zod";
import type { LoggedEvent } from "../store/auditTrail.ts";
import { states } from "./state.ts";

export const EventJson = z
  .object({
    id: z.string().meta({ description: "A number that grows with every event; what Last-Event-ID takes." }),
    at: z.iso.datetime(),
    type: z
      .string()
      .meta({ description: "What happened, e.g. created, admitted, ready, progress, command, stop, gone." }),
    sessionId: z.uuid(),
    tenant: z.string(),
    state: z.enum(states).meta({ description: "The session's state from then on." }),
    reason: z.string().nullable(),
    version: z.int().meta({ description: "The session's version from then on." }),
    actor: z.string().meta({ description: "Who did it: key:<name>, oidc:<subject>, worker, …" }),
    address: z.string().nullable().meta({ description: "The address it came from." }),
  })
  .meta({ id: "Event" });

export type EventJson = z.infer<typeof EventJson>;

/** Field by field, so that nothing gets out that isn't meant to. */
export function toEventJson(event: LoggedEvent, tenant: string): EventJson {
  const { id, at, type, sessionId, state, reason, version, actor, address } = event;
  return { id, at: at.toISOString(), type, sessionId, tenant, state, reason, version, actor, address };
}
