/**
 * Decides up to which event the audit trail is complete. Pure: no I/O.
 *
 * A statement takes the id of its event before the statement commits. So an event with a lower id may become visible after
 * an event with a higher id, and a reader that continues after the higher id would miss the lower one. Writers don't wait
 * for each other because of that; readers stop at the horizon. An event with a lower id than a visible event belongs to a
 * statement that had already begun when the visible event was read. So once all statements of that moment have ended, every
 * event up to the visible one is visible, or will never exist because its statement failed.
 */

/** What one look at the audit trail finds. The look sees the event first and the writers afterwards. */
export interface Look {
  /** The id of the newest visible event; 0 if there is none. */
  newest: bigint;
  /** The transactions that may append events now. No id is used twice. */
  writers: readonly string[];
}

export interface Horizon {
  /** Every event up to this id is visible. Grows, unless the newest events have disappeared. */
  settled: bigint;
  /** The next value of `settled`, and the transactions that must end before. Undefined: no event waits. */
  next?: { upTo: bigint; writers: readonly string[] } | undefined;
}

/**
 * The horizon after a further look. It begins anew if the newest event is older than before: the events were deleted, or the
 * address leads to another database since a fail-over or a restore, and that database gives the same ids to other events.
 */
export function afterLook({ settled, next }: Horizon, { newest, writers }: Look): Horizon {
  if (newest < settled) return afterLook({ settled: 0n }, { newest, writers });
  const left = next?.writers.filter((writer) => writers.includes(writer)) ?? [];
  if (next !== undefined && left.length > 0) return { settled, next: { ...next, writers: left } };
  const reached = next?.upTo ?? settled;
  if (newest <= reached) return { settled: reached };
  return writers.length === 0 ? { settled: newest } : { settled: reached, next: { upTo: newest, writers } };
}
