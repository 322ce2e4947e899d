/** A line of the audit trail, as the program knows it and as users and webhooks see it. */
import { z } from "zod";
import { type State, states } from "./state.ts";

/** Who does something, for the audit trail: e.g. `key:default` from an address, or `worker`. */
export interface Actor {
  name: string;
  address?: string;
}

/** What people do in a session, which changes no state of it: lines of the audit trail beside those of changes. */
export const uses = ["command", "process", "file", "desktop", "ticket", "log", "port"] as const;
export type Use = (typeof uses)[number];

/** Whether webhooks get events of the type. Of what people do in a session they get commands alone: the rest may be thousands. */
export const isPosted = (type: string): boolean => type === "command" || !uses.some((use) => use === type);

/** One line of the audit trail. */
export interface LoggedEvent {
  /** A number as text. Grows in the order of commits: who has seen one has seen all before it. */
  id: string;
  sessionId: string;
  at: Date;
  /** The type of the change: `created`, `claimed`, `progress`, a Use, or a SessionEvent's. */
  type: string;
  /** The session's state, reason and version after it. */
  state: State;
  reason: string | null;
  version: number;
  actor: string;
  address: string | null;
}

export const EventJson = z
  .object({
    id: z.string().meta({ description: "A number that grows with every event; what Last-Event-ID takes." }),
    at: z.iso.datetime(),
    type: z.string().meta({
      description: "What happened, e.g. created, admitted, ready, progress, command, process, file, stop, gone.",
    }),
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
