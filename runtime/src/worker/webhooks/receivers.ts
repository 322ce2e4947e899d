/**
 * Counts the running deliveries of this process, and says how many more each receiver may get. A receiver is a URL of a tenant:
 * two tenants with the same URL have two receivers. domain/receiverPace.ts decides the limits. This process keeps an entry in
 * memory for each receiver with running or recent deliveries, or with failures.
 */
import { type Ending, firstPace, type Pace, paceAfter, slotsOf } from "../../domain/receiverPace.ts";
import type { Receiver, Room } from "../../store/deliveryStore.ts";

/** A receiver without failures that has got no delivery for this many milliseconds counts as a new receiver. */
const forgottenMs = 60_000;

interface Entry extends Receiver {
  running: number;
  pace: Pace;
  /** When the last delivery ended, by `clock`. */
  endedAt: number;
}

const keyOf = ({ tenant, url }: Receiver) => `${tenant} ${url}`;

export class Receivers {
  readonly #entries = new Map<string, Entry>();

  /** @param clock a monotonic clock in milliseconds. Default: performance.now */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** How many more deliveries each known receiver may get now. */
  rooms(): Room[] {
    const now = this.clock();
    const busy = new Map<string, number>();
    const known = new Map<string, number>();
    for (const [key, { tenant, running, pace, endedAt }] of this.#entries) {
      if (running === 0 && pace.failures === 0 && now - endedAt > forgottenMs) {
        this.#entries.delete(key);
        continue;
      }
      known.set(tenant, (known.get(tenant) ?? 0) + 1);
      if (running > 0) busy.set(tenant, (busy.get(tenant) ?? 0) + 1);
    }
    return [...this.#entries.values()].map(({ tenant, url, running, pace }) => {
      // All idle receivers of a tenant may begin at the same moment. So an idle receiver gets the share that it has if all
      // known receivers of its tenant are busy.
      const receivers = (running > 0 ? busy : known).get(tenant) ?? 0;
      return { tenant, url, room: Math.max(0, slotsOf(pace, busy.size, receivers, now) - running) };
    });
  }

  /** The receivers that get nothing now, because they count as dead. */
  paused(): Receiver[] {
    const now = this.clock();
    return [...this.#entries.values()].filter(({ pace }) => now < pace.pausedUntil);
  }

  begin({ tenant, url }: Receiver): void {
    const entry = this.#entries.get(keyOf({ tenant, url })) ?? { tenant, url, running: 0, pace: firstPace, endedAt: 0 };
    this.#entries.set(keyOf(entry), { ...entry, running: entry.running + 1 });
  }

  /** Notes that a delivery ended. `ending` is undefined if nothing was sent. */
  end(receiver: Receiver, ending: Ending | undefined): void {
    const entry = this.#entries.get(keyOf(receiver));
    if (entry === undefined) return;
    const endedAt = this.clock();
    const pace = ending === undefined ? entry.pace : paceAfter(entry.pace, ending, endedAt);
    this.#entries.set(keyOf(entry), { ...entry, running: entry.running - 1, pace, endedAt });
  }
}
