/** Does by one call for many what is asked for each. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What is asked for within `gatherMs`, or while the call before runs, is one call of `work`, each item once. Who asked gets that
 * call's end, or its error.
 */
export function gathered<T>(work: (items: T[]) => Promise<void>, gatherMs: number): (item: T) => Promise<void> {
  let next: { items: Set<T>; done: Promise<void> } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return (item) => {
    if (next === undefined) {
      const items = new Set<T>();
      const done = Promise.all([sleep(gatherMs), last]).then(() => {
        next = undefined;
        return work([...items]);
      });
      last = done.catch(() => {});
      next = { items, done };
    }
    next.items.add(item);
    return next.done;
  };
}
