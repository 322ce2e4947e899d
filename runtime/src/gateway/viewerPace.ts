/**
 * Limits how often one viewer may request pictures, so that no viewer keeps the desktop and the gateway busy. Requests
 * above the limit are merged into one, which is sent later: a server may answer several requests with one picture
 * (RFC 6143, 7.5.3), so the viewer still gets its picture. All desktops that were opened with one ticket at one gateway
 * process share one limit. Pure: the caller passes the time, in milliseconds.
 */

/**
 * How many requests for changed parts of the picture one viewer may send per second. A desktop draws 60 pictures per second
 * at most.
 */
const refillPerSecond = 60;
/**
 * A request for a full picture counts as this many requests for changes, because the desktop draws and compresses the
 * whole picture again.
 */
const fullCost = 12;
const burst = 120;

/**
 * Messages of any type per second, and the burst that is allowed. A client that sends more is not a normal viewer and
 * is disconnected.
 */
const messagesPerSecond = 200;
const messageBurst = 2_000;

/** The viewer sends more messages than a viewer needs to. */
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

  /** Takes `amount` from the bucket if the bucket holds that much. */
  take(amount: number, now: number): boolean {
    this.#level = this.#levelAt(now);
    this.#at = now;
    if (this.#level < amount) return false;
    this.#level -= amount;
    return true;
  }

  /** In how many milliseconds the bucket will hold `amount`. */
  msUntil(amount: number, now: number): number {
    return Math.max(0, Math.ceil(((amount - this.#levelAt(now)) / this.perSecond) * 1_000));
  }

  #levelAt(now: number): number {
    return Math.min(this.size, this.#level + ((now - (this.#at ?? now)) / 1_000) * this.perSecond);
  }
}

/** Returns a pace: a bucket that limits how often the viewers that share the bucket may request pictures. */
export const sharedPace = () => new Bucket(burst, refillPerSecond);

/** After this time without requests, in milliseconds, the bucket of a pace is full again. */
export const restedAfterMs = (burst / refillPerSecond) * 1_000;

const costOf = (request: Buffer) => (request[1] === 0 ? fullCost : 1);

export class ViewerPace {
  readonly #messages = new Bucket(messageBurst, messagesPerSecond);
  /** The merged request that had to wait. */
  #kept: Buffer | undefined;

  constructor(private readonly requests = sharedPace()) {}

  /** Counts a message of any type. Throws a FloodError if there are too many. */
  count(now: number): void {
    if (!this.#messages.take(1, now)) throw new FloodError(`more than ${messagesPerSecond} messages a second`);
  }

  /**
   * Takes a FramebufferUpdateRequest (10 bytes). Returns the request if it may be sent now. Otherwise merges it with
   * the request that already waits, if there is one, and returns undefined.
   */
  ask(request: Buffer, now: number): Buffer | undefined {
    if (this.#kept === undefined && this.requests.take(costOf(request), now)) return request;
    this.#kept = this.#kept === undefined ? Buffer.from(request) : merge(this.#kept, request);
    return undefined;
  }

  /** In how many milliseconds the kept request may be sent; undefined: no request is kept. */
  due(now: number): number | undefined {
    return this.#kept && this.requests.msUntil(costOf(this.#kept), now);
  }

  /** Returns the kept request, which the caller then sends; undefined: the request has to wait, or no request is kept. */
  take(now: number): Buffer | undefined {
    const kept = this.#kept;
    if (kept === undefined || !this.requests.take(costOf(kept), now)) return undefined;
    this.#kept = undefined;
    return kept;
  }
}

/** Merges two requests: the smallest rectangle that contains both. The result is a full request if one of them is. */
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
