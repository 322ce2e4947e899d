/** Plain values that are injected. */

/** The address users reach the API at. */
export const PUBLIC_URL = Symbol("PUBLIC_URL");

/** What sessions' pods run, for those that are made ahead. */
export const POD_IMAGES = Symbol("POD_IMAGES");

/** How many of a tenant's sessions may wait in the queue. */
export const BACKLOG_LIMIT = Symbol("BACKLOG_LIMIT");

/** Where sessions' ports are reached: a SandboxUrl, or null where the stack has none. */
export const SANDBOX_URL = Symbol("SANDBOX_URL");
