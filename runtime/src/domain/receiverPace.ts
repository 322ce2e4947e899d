/** How many deliveries a webhook's receiver gets at the same time. Pure: no I/O. */

/**
 * How many deliveries to one receiver may run at the same time before its first answer. After that, a receiver without
 * failures may always have at least this many, even if many other deliveries run.
 */
export const ownSlots = 4;

/** The tenants with running deliveries share these slots of a process in equal parts. */
const sharedSlots = 256;

/** The most deliveries that run to one receiver at the same time, if its answers are quick and if they are not. */
const [mostOfQuick, mostOfSlow] = [128, 25];

/** An answer that came within this many milliseconds is quick. */
const quickMs = 1_000;

/**
 * A receiver counts as dead after this many failures in a row. It then gets nothing during the pause. After the pause, it
 * gets one delivery at a time until it gives a good answer.
 */
const deadAfter = 3;
const pauseMs = 30_000;

/** What the answers of a receiver have shown. */
export interface Pace {
  /** How many deliveries may run at the same time while the receiver works. */
  most: number;
  /** Failures in a row. */
  failures: number;
  /** The receiver gets no deliveries before this time. */
  pausedUntil: number;
}

export const firstPace: Pace = { most: ownSlots, failures: 0, pausedUntil: 0 };

/** How an attempt ended, and the milliseconds that it took. A good answer has a status other than 429 and 5xx. */
export interface Ending {
  isGood: boolean;
  tookMs: number;
}

/**
 * Each good answer allows one more delivery at the same time: up to 128 after quick answers, up to 25 after slow ones. So
 * the limit doubles with each round of answers. A failure halves the limit, but not below `ownSlots`. `now` is in
 * milliseconds, by the same clock as `pausedUntil`.
 */
export function paceAfter({ most, failures, pausedUntil }: Pace, { isGood, tookMs }: Ending, now: number): Pace {
  if (isGood) {
    // If the limit is above mostOfSlow, each slow answer lowers the limit by one.
    const next =
      tookMs <= quickMs ? Math.min(most + 1, mostOfQuick) : Math.max(Math.min(most + 1, mostOfSlow), most - 1);
    return { most: next, failures: 0, pausedUntil: 0 };
  }
  return {
    most: Math.max(Math.floor(most / 2), ownSlots),
    failures: failures + 1,
    pausedUntil: failures + 1 >= deadAfter ? now + pauseMs : pausedUntil,
  };
}

/**
 * How many deliveries to a receiver may run at the same time.
 * @param tenants how many tenants have running deliveries
 * @param receivers to how many receivers of this tenant deliveries run
 */
export function slotsOf(
  { most, failures, pausedUntil }: Pace,
  tenants: number,
  receivers: number,
  now: number,
): number {
  if (now < pausedUntil) return 0;
  if (failures > 0) return 1;
  return Math.min(most, Math.max(ownSlots, Math.floor(sharedSlots / Math.max(1, tenants) / Math.max(1, receivers))));
}
