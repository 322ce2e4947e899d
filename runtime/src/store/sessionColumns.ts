/**
 * The names of the columns of `sessions` in the program. A new column needs a line here, a field of Session, and a migration with
 * its line in migrate.ts.
 */
import type { ColumnType } from "kysely";
import type { Session } from "../domain/session.ts";

/** The column of each field of a Session. */
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

/** The type in which a statement writes a value of the type `T`: JSON is written as text. */
type Written<T> = T extends string | number | boolean | null | Date ? T : string;

/** These columns as Kysely sees them. */
export type SessionColumns = {
  [Field in keyof Session as ColumnOf[Field]]: ColumnType<
    Session[Field],
    Written<Session[Field]> | undefined,
    Written<Session[Field]>
  >;
};

type Selected = { [Field in keyof Session]: `${ColumnOf[Field]} as ${Field}` }[keyof Session];

/** The columns of `select` and `returning` that make a Session. The encrypted task is not among them. */
export const sessionColumns = Object.entries(columnOf).map(([field, column]) => `${column} as ${field}` as Selected);
