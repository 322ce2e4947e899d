/** Injection tokens of plain values. */

/** The address at which users reach the API. */
export const PUBLIC_URL = Symbol("PUBLIC_URL");

/** The images of sessions' pods. */
export const POD_IMAGES = Symbol("POD_IMAGES");

/** How many sessions of a tenant may be queued. */
export const BACKLOG_LIMIT = Symbol("BACKLOG_LIMIT");

/** A Bell, which wakes the leader so that it plans the starts of queued sessions. */
export const PLANNING_BELL = Symbol("PLANNING_BELL");

/** The address of sessions' ports: a SandboxUrl, or null if SANDBOX_URL is not set. */
export const SANDBOX_URL = Symbol("SANDBOX_URL");
