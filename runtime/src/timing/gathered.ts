/** Combines many calls into one. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Collects the items that arrive within `gatherMs` or while the previous call of `work` runs, and passes them to one call of
 * `work`. Each caller whose item was in the call gets the call's result or its error.
 */
export function gathered<T, R>(work: (items: T[]) => Promise<R>, gatherMs: number): (item: T) => Promise<R> {
  let next: { items: T[]; done: Promise<R> } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return (item) => {
    if (next === undefined) {
      const items: T[] = [];
      const done = Promise.all([sleep(gatherMs), last]).then(() => {
        next = undefined;
        return work(items);
      });
      last = done.catch(() => {});
      next = { items, done };
    }
    next.items.push(item);
    return next.done;
  };
}
