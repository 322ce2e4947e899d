/** The tables as Kysely sees them. Postgres is the truth about sessions; everything else can be rebuilt from here. */
import type { ColumnType, Generated } from "kysely";
import type { Outcome, State } from "../sessions/state.ts";
import type { Tier } from "../sessions/tiers.ts";

/** Set by the database's clock only. */
type Timestamp = ColumnType<Date, never, Date>;

/** One row per session. `version` grows with every change; whoever changes a row names the version it saw. */
export interface SessionsTable {
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  state: State;
  reason: string | null;
  /** How the session ends once nothing of it is left in the cluster; set when it starts to stop. */
  ends_as: Outcome | null;
  pod_ip: string | null;
  idempotency_key: string | null;
  version: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
  /** Since when the session is in this state: start deadlines count from here, by the database's clock alone. */
  state_since: Timestamp;
}

/** The audit trail: who did what, when and from where. Only ever appended to. */
export interface SessionEventsTable {
  id: Generated<string>;
  session_id: string;
  at: Timestamp;
  type: string;
  state: State;
  reason: string | null;
  version: number;
  actor: string;
  address: string | null;
}

export interface Schema {
  sessions: SessionsTable;
  session_events: SessionEventsTable;
}
