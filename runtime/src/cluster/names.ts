/** Names and labels of a session's objects. They derive from the session's id, so a create that is repeated finds its own work. */
import type { Session } from "../domain/session.ts";

/** The label that says whose objects they are. */
export const sessionLabel = "berth.dev/session";

/** Selects everything that belongs to sessions. */
export const sessionSelector = "app.kubernetes.io/name=agent-session";

/** The name of the session's Secret, claim and pod alike. */
export const objectName = (id: string) => `agent-${id}`;

export function labels(session: Pick<Session, "id" | "tenant">): Record<string, string> {
  return {
    "app.kubernetes.io/name": "agent-session",
    "app.kubernetes.io/component": "session",
    "app.kubernetes.io/part-of": "berth",
    "app.kubernetes.io/managed-by": "berth",
    "berth.dev/tenant": session.tenant,
    [sessionLabel]: session.id,
  };
}
