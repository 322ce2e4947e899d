/** Rows of `sessions` as the program knows them. */
import type { Selectable } from "kysely";
import type { Session } from "../domain/session.ts";
import type { SessionsTable } from "./schema.ts";

export function fromRow(row: Selectable<SessionsTable>): Session {
  return {
    id: row.id,
    tenant: row.tenant,
    namespace: row.namespace,
    tier: row.tier,
    state: row.state,
    reason: row.reason,
    cause: row.cause,
    endsAs: row.ends_as,
    podIp: row.pod_ip,
    resumes: row.resumes,
    stalled: row.stalled,
    queuePosition: row.queue_position,
    labels: row.labels,
    priority: row.priority,
    idleTimeoutSeconds: row.idle_timeout_seconds,
    maxLifetimeSeconds: row.max_lifetime_seconds,
    workspaceMode: row.workspace_mode,
    workspaceUntil: row.workspace_until,
    progress: row.progress,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    stateSince: row.state_since,
    lastActiveAt: row.last_active_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    ranSeconds: row.ran_seconds,
    warm: row.warm,
  };
}
