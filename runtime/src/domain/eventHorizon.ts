/**
 * Decides up to which event the audit trail is complete. Pure: no I/O.
 *
 * A statement takes the id of its event before the statement commits. So an event with a lower id may become visible after
 * an event with a higher id, and a reader that continues after the higher id would miss the lower one. Nevertheless writers
 * don't wait for each other. Instead, readers stop at the horizon. An event with a lower id than a visible event belongs to
 * a statement that had already begun when the visible event was read. So once all statements that ran at that moment have
 * ended, every event up to the visible one is visible, or will never exist because its statement failed.
 */

/**
 * The state of the audit trail at one time. To make a snapshot, first query the id for `newest`, and only then the
 * transactions for `writers`.
 */
export interface Snapshot {
  /** The id of the newest visible event; 0 if there is none. */
  newest: bigint;
  /** The ids of the transactions that may append events now. Postgres gives each transaction a new id. */
  writers: readonly string[];
}

export interface Horizon {
  /** Every event up to this id is visible. The id grows, unless the newest events have disappeared. */
  settled: bigint;
  /** The next value of `settled`, and the transactions that must end before. Undefined: no event is newer than `settled`. */
  next?: { upTo: bigint; writers: readonly string[] } | undefined;
}

/**
 * Returns the horizon after one more snapshot. If the newest event has a lower id than `settled`, `settled` first goes back to
 * 0. In this case, either the events were deleted, or Postgres' address has led to another database since a fail-over or a
 * restore, and that database gives the same ids to other events.
 */
export function horizonAfter({ settled, next }: Horizon, { newest, writers }: Snapshot): Horizon {
  if (newest < settled) return horizonAfter({ settled: 0n }, { newest, writers });
  const left = next?.writers.filter((writer) => writers.includes(writer)) ?? [];
  if (next !== undefined && left.length > 0) return { settled, next: { ...next, writers: left } };
  const reached = next?.upTo ?? settled;
  if (newest <= reached) return { settled: reached };
  return writers.length === 0 ? { settled: newest } : { settled: reached, next: { upTo: newest, writers } };
}
