/**
 * What happens to a session when the cluster refuses to create one of its objects, and the message that the user gets. A table in
 * docs/sessions.md lists the same rules.
 */
import type { Refusal } from "./kubernetes.ts";
import { shorten } from "./podView.ts";

/** Whether the objects exist. If not: whether the session returns to the queue, waits or fails, and why. */
export type Creation = { result: "created" } | { result: "defer" | "wait" | "fail"; reason: string };

export function explain({ kind, message }: Refusal): Creation {
  switch (kind) {
    case "quota": {
      const numbers = /exceeded quota: [^,]*, (.*)$/.exec(message)?.[1];
      return {
        result: "defer",
        reason: `Waiting for room in the tenant's quota${numbers ? ` (${shorten(numbers)})` : ""}`,
      };
    }
    case "missing":
      return { result: "wait", reason: "Waiting for the tenant's namespace, which does not exist yet" };
    case "denied":
      return {
        result: "wait",
        reason: shorten(`Waiting for the platform's rights in the tenant's namespace: ${message}`),
      };
    case "conflict":
    case "exists":
      return { result: "wait", reason: "Waiting for the cluster's quota controller" };
    case "rejected":
      return /being terminated/.test(message)
        ? { result: "fail", reason: "The tenant's namespace is being deleted" }
        : { result: "fail", reason: shorten(`The cluster rejected the session: ${message}`) };
  }
}
