/** What is asked for when a session is made. */
import type { WorkspaceMode } from "../domain/session.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Task } from "./taskCipher.ts";

export interface NewSession {
  tenant: string;
  namespace: string;
  tier: Tier;
  /** By its name in the tenant's config. Default null: the platform's. */
  image?: string | null;
  /** Whether that image has one. Default true. */
  desktop?: boolean;
  /** Default: none. */
  labels?: Record<string, string>;
  /** What the agent is to do. Default: nothing, just the desktop. */
  task?: Task | undefined;
  /** 0 to 100. Default 50. */
  priority?: number;
  /** Default null: it may be idle for ever. */
  idleTimeoutSeconds?: number | null;
  /** Default null: it may run for ever. */
  maxLifetimeSeconds?: number | null;
  /** Default persistent. */
  workspaceMode?: WorkspaceMode;
  /** The caller's key and words: repeating both gives the same session, whatever the tenant's config makes of them by then. */
  idempotency?: { key: string; request: unknown } | undefined;
  /** With so many of the tenant's sessions in the queue no other is taken. Default: no limit. */
  backlogLimit?: number;
  /** One that was made ahead, from this, may be given out in its place; see warmMark.ts. Default: it is made. */
  claim?: string | undefined;
  /** It is made ahead, from this, for whoever asks first; nobody sees it until then. Default: it is the tenant's at once. */
  warm?: string;
}
