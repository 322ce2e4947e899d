/** Decides how many warm sessions to create, and which existing warm sessions to end. Pure: no I/O. */

/** A warm session: created in advance, and not yet claimed by a user. */
export interface Spare {
  id: string;
  /** The hash of the pod template from which the session was created; see podTemplateHash.ts. */
  templateHash: string;
}

/** The warm sessions of one tenant, image and tier. */
export interface Pool {
  /** How many warm sessions there should be. */
  size: number;
  /** The hash of the pod template that a new warm session would have now. */
  templateHash: string;
  /** The existing warm sessions, oldest first, including those that are still starting. */
  spares: Spare[];
  /** How many warm sessions were created in the last minute and are unclaimed. Those that have ended count too. */
  lately: number;
  /** Whether a session that a user of the tenant requested waits for room in the tenant's own limits. */
  isAwaited: boolean;
}

/**
 * Chooses for the end the warm sessions with an outdated template and those beyond the pool's size. While a requested session
 * waits for room in the tenant's own limits, no warm session is created, and each call ends one more warm session to make
 * room. Unclaimed warm sessions that were created in the last minute count against `size` even if they have ended, so that an
 * image that always fails is not started again without a pause.
 */
export function adjust({ size, templateHash, spares, lately, isAwaited }: Pool): { make: number; end: Spare[] } {
  const current = spares.filter((spare) => spare.templateHash === templateHash);
  const keep = current.slice(0, isAwaited ? Math.min(size, current.length - 1) : size);
  const end = spares.filter((spare) => !keep.includes(spare));
  const make = isAwaited ? 0 : Math.max(0, Math.min(size - keep.length, size - lately));
  return { make, end };
}
