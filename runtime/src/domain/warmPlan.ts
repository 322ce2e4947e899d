/** How many sessions to make ahead, and which of them not to keep; pure. */

/** A session that was made ahead and has no owner yet. */
export interface Spare {
  id: string;
  /** What it was made from; see warmMark.ts. */
  mark: string;
}

/** A tenant's sessions of one tier that are made ahead. */
export interface Pool {
  /** How many there shall be. */
  size: number;
  /** What they would be made from now. */
  mark: string;
  /** Those that there are, oldest first, whether they are up already or not. */
  spares: Spare[];
  /** How many were made in the last minute, of those that nobody took. */
  lately: number;
  /** The tenant's own sessions wait for room under the tenant's own limits. */
  isAwaited: boolean;
}

/**
 * Outdated ones and those above the size go. While the tenant's own sessions wait for room none is made, and one gives way
 * at a time. At most `size` are made in a minute: an image that doesn't start is not started without end.
 */
export function adjust({ size, mark, spares, lately, isAwaited }: Pool): { make: number; end: Spare[] } {
  const current = spares.filter((spare) => spare.mark === mark);
  const keep = current.slice(0, isAwaited ? Math.min(size, current.length - 1) : size);
  const end = spares.filter((spare) => !keep.includes(spare));
  const make = isAwaited ? 0 : Math.max(0, Math.min(size - keep.length, size - lately));
  return { make, end };
}
