/** A session as the program knows it, and as users see it. */
import type { Selectable } from "kysely";
import type { SessionJson } from "../api/sessionJson.ts";
import type { Progress, SessionsTable, WorkspaceMode } from "../store/schema.ts";
import type { Status } from "./state.ts";
import type { Tier } from "./tiers.ts";

export interface Session extends Status {
  /** A UUID; the names of the session's objects in the cluster derive from it. */
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  /** The user's own, for filters; they never reach the cluster. */
  labels: Record<string, string>;
  /** 0 to 100, higher first within what is fair across tenants. */
  priority: number;
  /** While queued: how many, with it, wait for the same thing; null until it was counted, and in other states. */
  queuePosition: number | null;
  /** Ends after so many seconds without activity; null: never. */
  idleTimeoutSeconds: number | null;
  /** Ends after running for so many seconds in all; null: never. */
  maxLifetimeSeconds: number | null;
  workspaceMode: WorkspaceMode;
  /** After the end: until when the workspace is kept; null: it is not. */
  workspaceUntil: Date | null;
  progress: Progress | null;
  /** Grows by one with each change of state or reason. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
  stateSince: Date;
  lastActiveAt: Date | null;
  /** When it ran for the first time. */
  startedAt: Date | null;
  endedAt: Date | null;
  /** For how long it had been running before it came into this state. */
  ranSeconds: number;
  /** It is made ahead and nobody's yet, and this is what it was made from; null: it is the tenant's. */
  warm: string | null;
}

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

/** When the session ends at the latest if it goes on running; null if it doesn't run or has no such limit. */
export function expiresAt({ state, stateSince, maxLifetimeSeconds, ranSeconds }: Session): Date | null {
  if (state !== "running" || maxLifetimeSeconds === null) return null;
  return new Date(stateSince.getTime() + Math.max(0, maxLifetimeSeconds - ranSeconds) * 1000);
}

const iso = (date: Date | null) => date?.toISOString() ?? null;

/** The session in the API's answers. The pod's address is nobody's business outside. */
export function toJson(session: Session, publicUrl: string): SessionJson {
  return {
    id: session.id,
    tenant: session.tenant,
    tier: session.tier,
    labels: session.labels,
    priority: session.priority,
    state: session.state,
    reason: session.reason,
    cause: session.cause,
    queuePosition: session.queuePosition,
    progress: session.progress,
    idleTimeoutSeconds: session.idleTimeoutSeconds,
    maxLifetimeSeconds: session.maxLifetimeSeconds,
    workspace: { mode: session.workspaceMode, keptUntil: iso(session.workspaceUntil) },
    createdAt: session.createdAt.toISOString(),
    updatedAt: session.updatedAt.toISOString(),
    stateSince: session.stateSince.toISOString(),
    startedAt: iso(session.startedAt),
    lastActiveAt: iso(session.lastActiveAt),
    expiresAt: iso(expiresAt(session)),
    endedAt: iso(session.endedAt),
    links: {
      self: `${publicUrl}/v1/sessions/${session.id}`,
      desktop: `${publicUrl}/desktop/${session.id}`,
    },
  };
}
