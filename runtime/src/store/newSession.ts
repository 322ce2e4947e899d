/** The values with which a session is created. Fields without a value have the defaults below. */
import type { WorkspaceMode } from "../domain/session.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Task } from "./taskCipher.ts";

export interface NewSession {
  tenant: string;
  namespace: string;
  tier: Tier;
  /** The name of the image in the tenant's config. Default: null, the platform's image. */
  image?: string | null;
  /** Whether the image has a desktop. Default: true. */
  desktop?: boolean;
  /** Default: no labels. */
  labels?: Record<string, string>;
  /** The agent's task. Default: no task. */
  task?: Task | undefined;
  /** From 0 to 100. Default: 50. */
  priority?: number;
  /** Default: null, no idle time-out. */
  idleTimeoutSeconds?: number | null;
  /** Default: null, no maximum lifetime. */
  maxLifetimeSeconds?: number | null;
  /** Default: persistent. */
  workspaceMode?: WorkspaceMode;
  /**
   * `key`: the idempotency key. `request`: the body of the API call. A call that repeats both returns the same session,
   * even if the tenant's config has changed meanwhile. Default: every call creates a session.
   */
  idempotency?: { key: string; request: unknown } | undefined;
  /** No session is created while this many of the tenant's sessions are queued. Default: no limit. */
  backlogLimit?: number;
  /**
   * A warm session with this template hash may be claimed; see podTemplateHash.ts. Default: a new session is created.
   */
  claim?: string | undefined;
  /** The session is created warm, with this template hash, and no user sees it before its claim. Default: not warm. */
  warm?: string;
}
