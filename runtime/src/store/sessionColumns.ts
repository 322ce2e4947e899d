/** How the columns of `sessions` are named in the program: the one place that a new column of a Session is added to. */
import type { ColumnType } from "kysely";
import type { Session } from "../domain/session.ts";

/** A session's fields with their columns. */
const columnOf = {
  id: "id",
  tenant: "tenant",
  namespace: "namespace",
  tier: "tier",
  image: "image",
  desktop: "desktop",
  state: "state",
  reason: "reason",
  cause: "cause",
  endsAs: "ends_as",
  podIp: "pod_ip",
  resumes: "resumes",
  stalled: "stalled",
  queuePosition: "queue_position",
  labels: "labels",
  priority: "priority",
  idleTimeoutSeconds: "idle_timeout_seconds",
  maxLifetimeSeconds: "max_lifetime_seconds",
  workspaceMode: "workspace_mode",
  workspaceUntil: "workspace_until",
  progress: "progress",
  version: "version",
  createdAt: "created_at",
  updatedAt: "updated_at",
  stateSince: "state_since",
  lastActiveAt: "last_active_at",
  startedAt: "started_at",
  endedAt: "ended_at",
  ranSeconds: "ran_seconds",
  warm: "warm",
  tokenKey: "token_key",
  tenantsGeneration: "tenants_generation",
} as const satisfies Record<keyof Session, string>;

type ColumnOf = typeof columnOf;

/** What a statement writes for what it reads: JSON as text. */
type Written<T> = T extends string | number | boolean | null | Date ? T : string;

/** Those columns as Kysely sees them. */
export type SessionColumns = {
  [Field in keyof Session as ColumnOf[Field]]: ColumnType<
    Session[Field],
    Written<Session[Field]> | undefined,
    Written<Session[Field]>
  >;
};

type Selected = { [Field in keyof Session]: `${ColumnOf[Field]} as ${Field}` }[keyof Session];

/** For `select` and `returning`: the columns that make a Session. The encrypted task is none of them. */
export const sessionColumns = Object.entries(columnOf).map(([field, column]) => `${column} as ${field}` as Selected);
