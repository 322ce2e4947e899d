/**
 * Names and labels of a session's objects. The names contain the session's id, so a repeated create finds the existing
 * object.
 */
import type { Session } from "../domain/session.ts";

/** The label with the id of the session to which an object belongs. */
export const sessionLabel = "berth.dev/session";

/** Selects all objects that belong to sessions. */
export const sessionSelector = "app.kubernetes.io/name=agent-session";

/** The name of the session's Secret, volume claim and pod. */
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
