/**
 * How often one viewer may ask for pictures, so that no viewer keeps the desktop and the API busy. Requests beyond the pace
 * become one, which is passed on when its turn has come: a server may answer several with one picture (RFC 6143, 7.5.3), so
 * nobody waits in vain. Who opens several desktops with one link shares its pace among them. Pure but for the time that it
 * is given, in milliseconds.
 */

/** Of requests for what has changed a second; a desktop draws 60 pictures a second at most. */
const refillPerSecond = 60;
/** A request for all of a picture counts as so many: the desktop draws and packs it anew. */
const fullCost = 12;
const burst = 120;

/** Messages of any kind a second, and at once. Beyond it the viewer is no viewer, and is sent away. */
const messagesPerSecond = 200;
const messageBurst = 2_000;

/** The viewer sends more than anybody can look at. */
export class FloodError extends Error {
  override name = "FloodError";
}

class Bucket {
  #level: number;
  #at: number | undefined;
  constructor(
    private readonly size: number,
    private readonly perSecond: number,
  ) {
    this.#level = size;
  }

  /** Takes as much, if it is there. */
  take(amount: number, now: number): boolean {
    this.#level = this.#levelAt(now);
    this.#at = now;
    if (this.#level < amount) return false;
    this.#level -= amount;
    return true;
  }

  /** In how many milliseconds there is as much. */
  waitFor(amount: number, now: number): number {
    return Math.max(0, Math.ceil(((amount - this.#levelAt(now)) / this.perSecond) * 1_000));
  }

  #levelAt(now: number): number {
    return Math.min(this.size, this.#level + ((now - (this.#at ?? now)) / 1_000) * this.perSecond);
  }
}

/** What may be asked for, by all who share it. */
export const sharedPace = () => new Bucket(burst, refillPerSecond);

/** After so many milliseconds without requests a shared pace is as good as a new one. */
export const restedAfterMs = (burst / refillPerSecond) * 1_000;

const costOf = (request: Buffer) => (request[1] === 0 ? fullCost : 1);

export class ViewerPace {
  readonly #messages = new Bucket(messageBurst, messagesPerSecond);
  /** What was asked for beyond the pace. */
  #kept: Buffer | undefined;

  constructor(private readonly requests = sharedPace()) {}

  /** Counts a message of whatever kind. Throws a FloodError if it is one too many. */
  count(now: number): void {
    if (!this.#messages.take(1, now)) throw new FloodError(`more than ${messagesPerSecond} messages a second`);
  }

  /** A FramebufferUpdateRequest (10 bytes) that goes on now: this one, or none; it is kept then. */
  ask(request: Buffer, now: number): Buffer | undefined {
    if (this.#kept === undefined && this.requests.take(costOf(request), now)) return request;
    this.#kept = this.#kept === undefined ? Buffer.from(request) : merge(this.#kept, request);
    return undefined;
  }

  /** In how many milliseconds what was kept can go on; undefined: nothing was kept. */
  due(now: number): number | undefined {
    return this.#kept && this.requests.waitFor(costOf(this.#kept), now);
  }

  /** What was kept, if it can go on now. */
  take(now: number): Buffer | undefined {
    const kept = this.#kept;
    if (kept === undefined || !this.requests.take(costOf(kept), now)) return undefined;
    this.#kept = undefined;
    return kept;
  }
}

/** One request for the smallest rectangle around both; for all of it if one of them asks for all. */
function merge(a: Buffer, b: Buffer): Buffer {
  const merged = Buffer.from(a);
  merged[1] = Math.min(a.readUInt8(1), b.readUInt8(1));
  for (const axis of [0, 2]) {
    const [start, end] = [a, b].reduce(
      ([from, to], request) => {
        const at = request.readUInt16BE(2 + axis);
        return [Math.min(from, at), Math.max(to, at + request.readUInt16BE(6 + axis))];
      },
      [0xffff, 0] as [number, number],
    );
    merged.writeUInt16BE(start, 2 + axis);
    merged.writeUInt16BE(Math.min(0xffff, end - start), 6 + axis);
  }
  return merged;
}
