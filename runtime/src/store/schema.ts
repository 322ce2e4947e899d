/**
 * The tables as Kysely sees them. Postgres is the source of truth about sessions. Everything else that Berth stores about
 * sessions can be rebuilt from Postgres, except for the files in their workspaces.
 */
import type { ColumnType, Generated } from "kysely";
import type { State } from "../domain/states/state.ts";
import type { Tier } from "../domain/tiers.ts";
import type { SessionColumns } from "./sessionColumns.ts";

/** Only the database's clock sets these times. */
type Timestamp = ColumnType<Date, never, Date>;
type TimestampOrNull = ColumnType<Date | null, never, Date | null>;

/** The columns that are not part of a Session. Only the code of the layer `store` reads them. */
interface OwnColumns {
  /** Only older versions of the program write and read this column. A change of the state clears it. */
  queue_position: number | null;
  /**
   * While queued: whether the tenant's own limits keep the session from starting, rather than the lack of a start slot.
   */
  awaits_room: Generated<boolean>;
  /**
   * While queued: Berth does not try to start the session before this time, because at the last attempt the cluster refused the
   * session's pod or did not answer.
   */
  retry_at: TimestampOrNull;
  /** The turn in which the session was last admitted from the queue; null: it was never admitted. */
  turn: number | null;
  /** The agent's task, encrypted; see tasks.ts. */
  task: string | null;
  /** Whether the session's pod has confirmed that it has the task. */
  task_taken: Generated<boolean>;
  /** The random id to which the task of a claimed session is bound until the session's pod has the task; see taskCipher.ts. */
  task_id: string | null;
  /** When the last report of progress was appended to the audit trail; null: none was. */
  progress_logged_at: TimestampOrNull;
  idempotency_key: string | null;
  /** Fingerprint of the request that was sent with the idempotency key. */
  request_hash: string | null;
  /** Whether the session's usage is part of `usage_days`. Becomes true some time after the session's end. */
  usage_counted: Generated<boolean>;
}

/**
 * One row per session. `version` grows with every change that the audit trail records, except for uses and progress. A
 * change of the state or the reason is made only if the row still has the version that the caller has read.
 */
export type SessionsTable = SessionColumns & OwnColumns;

/**
 * The audit trail: who did what, when and from where. Rows are appended and, when they are old, deleted. `id` grows in the
 * order in which the statements took their ids, which is not the order of their commits; see eventHorizon.ts.
 */
export interface SessionEventsTable {
  id: Generated<string>;
  session_id: string;
  /** The session's tenant; null if no user sees the event, because the session was a warm one. */
  tenant: string | null;
  at: Timestamp;
  type: string;
  state: State;
  reason: string | null;
  version: number;
  actor: string;
  address: string | null;
}

/** Webhook deliveries that are pending or have failed. A delivery that has arrived is deleted. */
export interface WebhookDeliveriesTable {
  id: Generated<string>;
  tenant: string;
  url: string;
  event_id: string;
  /** `dead`: no more attempts are made, unless an admin or the tenant asks for them. */
  state: Generated<"pending" | "dead">;
  attempts: Generated<number>;
  /** The next attempt is made no earlier than this. */
  next_at: Timestamp;
  /** The generation of the tenants file by which the delivery was created. */
  tenants_generation: Generated<number>;
  last_error: string | null;
  created_at: Timestamp;
}

/** One row: the last event that has been turned into deliveries. */
export interface WebhookPositionTable {
  singleton: Generated<boolean>;
  /** The position for older versions, which do not stop at the horizon (see eventHorizon.ts) and set only this column. */
  event_id: string;
  /** The position that newer versions read: they stop at the horizon. Newer versions set both columns. */
  settled_id: string;
}

/** One row: how many statements have admitted sessions from the queue; see queueCommands.ts. */
export interface PlanningTable {
  singleton: Generated<boolean>;
  admissions: string;
}

/** One row per session that was suspended or has ended and whose agent wrote a log. Old rows are deleted. */
export interface SessionLogsTable {
  session_id: string;
  kept_at: Timestamp;
  /** Compressed with gzip. */
  log: Buffer;
}

/** The usage of ended sessions whose `usage_counted` is true. It stays when these sessions are deleted. */
export interface UsageDaysTable {
  tenant: string;
  /** In UTC. */
  day: ColumnType<string, string, never>;
  tier: Tier;
  seconds: number;
}

/** One row per desktop ticket, file link or port link; see grants.ts. */
export interface GrantsTable {
  id: string;
  session_id: string;
  kind: "desktop" | "file" | "port";
  access: string;
  path: string | null;
  port: number | null;
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
  planning: PlanningTable;
  usage_days: UsageDaysTable;
  webhook_deliveries: WebhookDeliveriesTable;
  webhook_position: WebhookPositionTable;
}
