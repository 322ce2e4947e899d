/** The tables as Kysely sees them. Postgres is the truth about sessions; everything else can be rebuilt from here. */
import type { ColumnType, Generated } from "kysely";
import type { State } from "../domain/state.ts";
import type { SessionColumns } from "./sessionColumns.ts";

/** Set by the database's clock only. */
type Timestamp = ColumnType<Date, never, Date>;
type TimestampOrNull = ColumnType<Date | null, never, Date | null>;

/** The columns that are no part of a Session: the store alone knows them. */
interface OwnColumns {
  /** While queued: its tenant's own limits keep it from starting, and not the places of all tenants. */
  awaits_room: Generated<boolean>;
  /** While queued: no earlier than this, after the cluster had no room. */
  retry_at: TimestampOrNull;
  /** Its place in the order in which sessions were last let out of the queue; null: it never was. */
  turn: number | null;
  /** What the agent is to do, encrypted; see tasks.ts. */
  task: string | null;
  /** Its pod has said that it has the task. */
  task_taken: Generated<boolean>;
  idempotency_key: string | null;
  /** Fingerprint of the request that the idempotency key stands for. */
  request_hash: string | null;
}

/** One row per session. `version` grows with every change of state or reason; whoever makes one names the version it saw. */
export type SessionsTable = SessionColumns & OwnColumns;

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
  /** The generation of the tenants file by which it was made. */
  tenants_generation: Generated<number>;
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

/** One row per ticket to a desktop and link to a file; see grants.ts. */
export interface GrantsTable {
  id: string;
  session_id: string;
  kind: "desktop" | "file";
  access: string;
  path: string | null;
  made_by: string;
  address: string | null;
  made_at: Timestamp;
  expires_at: ColumnType<Date, Date, never>;
  revoked_at: TimestampOrNull;
}

export interface Schema {
  grants: GrantsTable;
  sessions: SessionsTable;
  session_events: SessionEventsTable;
  session_logs: SessionLogsTable;
  webhook_deliveries: WebhookDeliveriesTable;
  webhook_position: WebhookPositionTable;
}
