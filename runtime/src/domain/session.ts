/** A session as the program knows it. */
import type { Status } from "./state.ts";
import type { Tier } from "./tiers.ts";

/** A session's volume: a claim that outlives the pod, or a folder that goes with it. */
export type WorkspaceMode = "persistent" | "ephemeral";

/** What the agent last said about how far it is. */
export interface Progress {
  message: string;
  /** 0 to 100; null if the agent doesn't say. */
  percent: number | null;
}

export interface Session extends Status {
  /** A UUID; the names of the session's objects in the cluster derive from it. */
  id: string;
  tenant: string;
  namespace: string;
  tier: Tier;
  /** Which of the tenant's images it has, by its name; null: the platform's. */
  image: string | null;
  /** Whether it has a desktop: what its image had when it was made. */
  desktop: boolean;
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
  /** The id of the key from which the tokens of its pod are made. */
  tokenKey: number;
  /** The generation of the newest tenants file by which it was made or changed; see generation.ts. */
  tenantsGeneration: number;
}

/** A session with its age in its state and its deadlines by the database's clock. */
export interface TimedSession {
  session: Session;
  secondsInState: number;
  isIdle: boolean;
  isOverLifetime: boolean;
}

/** When the session ends at the latest if it goes on running; null if it doesn't run or has no such limit. */
export function expiresAt({ state, stateSince, maxLifetimeSeconds, ranSeconds }: Session): Date | null {
  if (state !== "running" || maxLifetimeSeconds === null) return null;
  return new Date(stateSince.getTime() + Math.max(0, maxLifetimeSeconds - ranSeconds) * 1000);
}

/** What is said to who asks for the desktop of a session that has none. */
export const withoutDesktop = ({ image }: Pick<Session, "image">): string =>
  `The session has no desktop, because its image ${image} has none.`;
