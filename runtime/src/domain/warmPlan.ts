/** Decides how many warm sessions to create, and which of them to end. Pure: no I/O. */

/** A warm session: created in advance, and not yet claimed by a user. */
export interface Spare {
  id: string;
  /** The hash of the pod template from which it was created; see podTemplateHash.ts. */
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
  /** How many of the unclaimed warm sessions were created in the last minute. */
  lately: number;
  /** A session that a user of the tenant requested waits for the tenant's own limits. */
  isAwaited: boolean;
}

/**
 * Ends warm sessions with an outdated template and those beyond the pool's size. While a requested session waits for the
 * tenant's own limits, none is created, and one warm session ends at a time to make room. At most `size` are created in a
 * minute, so that an image that fails to start is not started without end.
 */
export function adjust({ size, templateHash, spares, lately, isAwaited }: Pool): { make: number; end: Spare[] } {
  const current = spares.filter((spare) => spare.templateHash === templateHash);
  const keep = current.slice(0, isAwaited ? Math.min(size, current.length - 1) : size);
  const end = spares.filter((spare) => !keep.includes(spare));
  const make = isAwaited ? 0 : Math.max(0, Math.min(size - keep.length, size - lately));
  return { make, end };
}
