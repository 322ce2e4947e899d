/** The tables as Kysely sees them. Postgres is the truth about sessions; everything else can be rebuilt from here. */
import type { ColumnType, Generated } from "kysely";
import type { Progress, WorkspaceMode } from "../domain/session.ts";
import type { Cause, Outcome, State } from "../domain/state.ts";
import type { Tier } from "../domain/tiers.ts";

/** Set by the database's clock only. */
type Timestamp = ColumnType<Date, never, Date>;
type TimestampOrNull = ColumnType<Date | null, never, Date | null>;

/** One row per session. `version` grows with every change of state or reason; whoever makes one names the version it saw. */
export interface SessionsTable {
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  state: State;
  reason: string | null;
  /** Why it ends or has ended. */
  cause: Cause | null;
  /** How the session ends once nothing of it is left in the cluster; set when it starts to stop. */
  ends_as: Outcome | null;
  pod_ip: string | null;
  /** While suspending: it shall come up again at once. */
  resumes: Generated<boolean>;
  /** While starting: it waits for the cluster's room or for a person. */
  stalled: Generated<boolean>;
  /** While queued: how many, with it, wait for the same thing; null until it was counted. */
  queue_position: number | null;
  /** While queued: its tenant's own limits keep it from starting, and not the places of all tenants. */
  awaits_room: Generated<boolean>;
  /** While queued: no earlier than this, after the cluster had no room. */
  retry_at: TimestampOrNull;
  /** Its place in the order in which sessions were last let out of the queue; null: it never was. */
  turn: number | null;
  labels: ColumnType<Record<string, string>, string, string>;
  /** What the agent is to do, encrypted; see taskCipher.ts. */
  task: string | null;
  idempotency_key: string | null;
  /** Fingerprint of the request that the idempotency key stands for. */
  request_hash: string | null;
  priority: Generated<number>;
  idle_timeout_seconds: number | null;
  max_lifetime_seconds: number | null;
  workspace_mode: Generated<WorkspaceMode>;
  /** After the end: the workspace is kept till then; null: it is not. */
  workspace_until: TimestampOrNull;
  version: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
  /** Since when the session is in this state: deadlines count from here, by the database's clock alone. */
  state_since: Timestamp;
  /** Last desktop input, exec, API touch or the agent's own word. */
  last_active_at: TimestampOrNull;
  /** When it ran for the first time. */
  started_at: TimestampOrNull;
  ended_at: TimestampOrNull;
  /** For how long it had been running before it came into this state; the maximum lifetime counts this. */
  ran_seconds: Generated<number>;
  progress: ColumnType<Progress | null, never, string>;
  /** It is made ahead and has no owner yet: the mark of what it is made from. */
  warm: string | null;
}

/** The audit trail: who did what, when and from where. Only ever appended to, and `id` grows in the order of commits. */
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

/** What is still to be sent to a tenant's webhook, or could not be; what has been sent is deleted. */
export interface WebhookDeliveriesTable {
  id: Generated<string>;
  tenant: string;
  url: string;
  event_id: string;
  /** `dead`: not tried any more, for somebody to look at. */
  state: Generated<"pending" | "dead">;
  attempts: Generated<number>;
  /** Tried no earlier than this. */
  next_at: Timestamp;
  last_error: string | null;
  created_at: Timestamp;
}

/** One row: the last event that has been turned into deliveries. */
export interface WebhookPositionTable {
  singleton: Generated<boolean>;
  event_id: string;
}

/** One row per session that has ended and whose agent wrote something. */
export interface SessionLogsTable {
  session_id: string;
  kept_at: Timestamp;
  /** Compressed by gzip. */
  log: Buffer;
}

export interface Schema {
  sessions: SessionsTable;
  session_events: SessionEventsTable;
  session_logs: SessionLogsTable;
  webhook_deliveries: WebhookDeliveriesTable;
  webhook_position: WebhookPositionTable;
}
