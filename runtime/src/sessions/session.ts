/** A session as the program knows it, and as users see it. */
import type { Selectable } from "kysely";
import type { SessionsTable } from "../database/schema.ts";
import type { Status } from "./state.ts";
import type { Tier } from "./tiers.ts";

export interface Session extends Status {
  /** A UUID; the names of the session's objects in the cluster derive from it. */
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  /** Grows by one with each change. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
  stateSince: Date;
}

export function fromRow(row: Selectable<SessionsTable>): Session {
  return {
    id: row.id,
    tenant: row.tenant,
    namespace: row.namespace,
    tier: row.tier,
    state: row.state,
    reason: row.reason,
    endsAs: row.ends_as,
    podIp: row.pod_ip,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    stateSince: row.state_since,
  };
}

/** The session in the API's answers. The pod's address is nobody's business outside. */
export function toJson(session: Session, publicUrl: string) {
  return {
    id: session.id,
    tenant: session.tenant,
    tier: session.tier,
    state: session.state,
    reason: session.reason,
    createdAt: session.createdAt.toISOString(),
    updatedAt: session.updatedAt.toISOString(),
    links: {
      self: `${publicUrl}/v1/sessions/${session.id}`,
      desktop: `${publicUrl}/desktop/${session.id}`,
    },
  };
}
