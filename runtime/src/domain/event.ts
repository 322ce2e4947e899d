/** An event of the audit trail: how the program stores it, and how users and webhooks see it. */
import { z } from "zod";
import { type State, states } from "./states/state.ts";

/** Who did something, for the audit trail: for example `key:default` with a client's address, or `worker`. */
export interface Actor {
  name: string;
  address?: string;
}

/**
 * What users do in a session without changing the session's state. The audit trail records the uses as events. If the same
 * caller repeats the same read (for example, of a log), a process records one event per minute.
 */
export const uses = ["command", "process", "file", "desktop", "ticket", "log", "port"] as const;
export type Use = (typeof uses)[number];

/**
 * Whether webhooks get events of this type. Of the uses, webhooks get only commands, because a session may have thousands
 * of the other uses.
 */
export const isPosted = (type: string): boolean => type === "command" || !uses.some((use) => use === type);

/** One event of the audit trail. */
export interface LoggedEvent {
  /** A number as text. Readers get events in the order of their ids: a reader that has event 7 has all events before 7. */
  id: string;
  sessionId: string;
  at: Date;
  /** The type of the event: `created`, `claimed`, `progress`, a Use, or the type of a SessionEvent. */
  type: string;
  /** The session's state after the event. */
  state: State;
  /** The session's reason after the event. For a use: what the caller used, for example the command. */
  reason: string | null;
  /** The session's version after the event. */
  version: number;
  actor: string;
  address: string | null;
}

export const EventJson = z
  .object({
    id: z.string().meta({ description: "A number that grows with every event. Last-Event-ID takes this number." }),
    at: z.iso.datetime(),
    type: z.string().meta({
      description: "What happened, e.g. created, admitted, ready, progress, command, process, file, stop, gone.",
    }),
    sessionId: z.uuid(),
    tenant: z.string(),
    state: z.enum(states).meta({ description: "The session's state after the event." }),
    reason: z.string().nullable(),
    version: z.int().meta({ description: "The session's version after the event." }),
    actor: z.string().meta({ description: "Who did it: key:<name>, oidc:<subject>, worker, …" }),
    address: z.string().nullable().meta({ description: "The client's IP address; null if there is none." }),
  })
  .meta({ id: "Event" });

export type EventJson = z.infer<typeof EventJson>;

/** Copies field by field, so that no internal field is sent to users. */
export function toEventJson(event: LoggedEvent, tenant: string): EventJson {
  const { id, at, type, sessionId, state, reason, version, actor, address } = event;
  return { id, at: at.toISOString(), type, sessionId, tenant, state, reason, version, actor, address };
}
