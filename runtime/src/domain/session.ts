/** A session as the program knows it. */
import type { Status } from "./states/state.ts";
import type { Tier } from "./tiers.ts";

/**
 * A session's workspace: a volume that outlives the pod (`persistent`), or a folder that is deleted with the
 * pod (`ephemeral`).
 */
export type WorkspaceMode = "persistent" | "ephemeral";

/** The progress that the agent reported last. */
export interface Progress {
  message: string;
  /** From 0 to 100; null if the agent does not report a percentage. */
  percent: number | null;
}

export interface Session extends Status {
  /** A UUID. The names of the session's objects in the cluster contain it. */
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  /** The name of the image, which is one of the tenant's images; null: the platform's image. */
  image: string | null;
  /** Whether the session has a desktop. The session's image decides that when the session is created. */
  desktop: boolean;
  /** The user's own labels, for filters. They are not written to the cluster. */
  labels: Record<string, string>;
  /** From 0 to 100. Among the sessions of a tenant, a higher number starts first. */
  priority: number;
  /** The session ends after this many seconds without activity; null: never. */
  idleTimeoutSeconds: number | null;
  /** The session ends after it has run for this many seconds in total; null: never. */
  maxLifetimeSeconds: number | null;
  workspaceMode: WorkspaceMode;
  /** After the end: until when the workspace is kept; null: the workspace is not kept. */
  workspaceUntil: Date | null;
  progress: Progress | null;
  /** A number that grows by one with each change that the audit trail records, except for uses and progress. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
  stateSince: Date;
  /** When somebody or something last used the session. While nobody owns the session: when its pod last reported. */
  lastActiveAt: Date | null;
  /** When the session ran for the first time. */
  startedAt: Date | null;
  endedAt: Date | null;
  /** How many seconds the session had run before it entered its present state. */
  ranSeconds: number;
  /** The hash of the pod template from which the warm session was created; null: the session has an owner. */
  warm: string | null;
  /** The id of the key that signs the tokens of the session's pod. */
  tokenKey: number;
  /** The highest generation of the tenants file with which a process has created or changed the session; see generation.ts. */
  tenantsGeneration: number;
}

/** A session, and by the database's clock: the seconds since its state began, and which time limits have passed. */
export interface TimedSession {
  session: Session;
  secondsInState: number;
  isIdle: boolean;
  isOverLifetime: boolean;
}

/** When the session ends at the latest if it keeps running; null if it does not run or has no maximum lifetime. */
export function expiresAt({ state, stateSince, maxLifetimeSeconds, ranSeconds }: Session): Date | null {
  if (state !== "running" || maxLifetimeSeconds === null) return null;
  return new Date(stateSince.getTime() + Math.max(0, maxLifetimeSeconds - ranSeconds) * 1000);
}

/** The message for a user who asks for the desktop of a session without a desktop. */
export const withoutDesktop = ({ image }: Pick<Session, "image">): string =>
  `The session has no desktop, because its image ${image} has none.`;
