/**
 * What a desktop's user sends, read message by message (RFC 6143 and the extensions that noVNC and TigerVNC speak): to know
 * input from mere looking, and to let nothing but looking through where the permission says `view`.
 *
 * A viewer's bytes reach the desktop as whole messages of the kinds listed as `looks`, and in no other way: whatever else
 * is sent can't be understood differently there, for it never gets there.
 */
import type { DesktopMode } from "../api/access/tickets.ts";
import { sharedPace, ViewerPace } from "./viewerPace.ts";

/** The viewer sent something that isn't the protocol as we know it. */
export class RfbError extends Error {
  override name = "RfbError";
}

const setEncodings = 2;
const updateRequest = 3;
const pointerEvent = 5;
const clientCutText = 6;
const fence = 248;
const setDesktopSize = 251;
const qemu = 255;

/** Asking for pixels and how: SetPixelFormat, SetEncodings, FramebufferUpdateRequest, EnableContinuousUpdates, Fence. */
const looks = new Set([0, setEncodings, updateRequest, 150, fence]);

/** KeyEvent, PointerEvent, ClientCutText, and QEMU's key event. */
const inputs = new Set([4, pointerEvent, clientCutText, qemu]);

const fixedLengths: Record<number, number> = { 0: 20, 3: 10, 4: 8, 150: 10, 250: 4 };

/** The length of the message that begins the buffer; undefined: more bytes are needed to tell. Throws RfbError. */
function messageLength(buffer: Buffer): number | undefined {
  const type = buffer[0] ?? 0;
  const fixed = fixedLengths[type];
  if (fixed !== undefined) return fixed;
  switch (type) {
    case setEncodings:
      return buffer.length < 4 ? undefined : 4 + 4 * buffer.readUInt16BE(2);
    case pointerEvent: // the mask's highest bit marks the form with more buttons
      return buffer.length < 2 ? undefined : buffer.readUInt8(1) & 0x80 ? 7 : 6;
    case clientCutText: // a negative length marks the extended clipboard
      return buffer.length < 8 ? undefined : 8 + Math.abs(buffer.readInt32BE(4));
    case fence:
      return buffer.length < 9 ? undefined : 9 + buffer.readUInt8(8);
    case setDesktopSize:
      return buffer.length < 8 ? undefined : 8 + 16 * buffer.readUInt8(6);
    case qemu:
      if (buffer.length < 2) return undefined;
      if (buffer[1] === 0) return 12;
  }
  throw new RfbError(`message ${type} is not known`);
}

/** The handshake's client messages, in their order, before any other. */
const handshake = ["version", "security", "init"] as const;

export class RfbClient {
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes still to come of a message that is dropped. */
  #dropping = 0;
  #step = 0;
  /** The user's client speaks what we don't know: everything passes and counts as input. */
  #blind = false;

  readonly #pace: ViewerPace;

  constructor(
    private readonly mode: DesktopMode,
    /** Milliseconds by a clock that only goes forward. */
    private readonly now: () => number = () => performance.now(),
    /** Of requests for pictures, where the mode is `view`. */
    pace = sharedPace(),
  ) {
    this.#pace = new ViewerPace(pace);
  }

  /**
   * What of the bytes goes on to the desktop, and whether there was input. Where the mode is `view`, throws an RfbError, or a
   * FloodError if there is too much of it, and keeps requests for pictures back for `later`.
   */
  take(chunk: Buffer): { pass: Buffer; input: boolean } {
    if (this.#blind) return { pass: chunk, input: true };
    try {
      const { passed, input } = this.#read(chunk);
      return { pass: this.mode === "view" ? Buffer.concat(passed) : chunk, input };
    } catch (error) {
      if (this.mode === "view" || !(error instanceof RfbError)) throw error;
      this.#blind = true;
      this.#buffer = Buffer.alloc(0);
      return { pass: chunk, input: true };
    }
  }

  /** In how many milliseconds `later` has something; undefined: it has nothing to come. */
  due(): number | undefined {
    return this.#pace.due(this.now());
  }

  /** A request for a picture that was kept back and whose turn has come; undefined: none. */
  later(): Buffer | undefined {
    return this.#pace.take(this.now());
  }

  #read(chunk: Buffer): { passed: Buffer[]; input: boolean } {
    let rest = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const passed: Buffer[] = [];
    let input = false;
    while (rest.length > 0) {
      if (this.#dropping > 0) {
        const dropped = Math.min(this.#dropping, rest.length);
        this.#dropping -= dropped;
        rest = rest.subarray(dropped);
        continue;
      }
      const step = handshake[this.#step];
      if (step !== undefined) {
        const length = step === "version" ? 12 : 1;
        if (rest.length < length) break;
        const greeted = greeting(step, rest.subarray(0, length));
        if (greeted !== undefined) passed.push(greeted);
        this.#step += 1;
        rest = rest.subarray(length);
        continue;
      }
      const type = rest.readUInt8(0);
      const length = messageLength(rest);
      if (length === undefined) break;
      // Of a message that comes in pieces the beginning is looked at several times: it is counted once it is whole.
      if (this.mode === "view" && (rest.length >= length || !looks.has(type))) this.#pace.count(this.now());
      input ||= inputs.has(type);
      if (!looks.has(type)) {
        this.#dropping = length;
        continue;
      }
      if (rest.length < length) break;
      const message = rest.subarray(0, length);
      const goesOn = this.mode === "view" && type === updateRequest ? this.#pace.ask(message, this.now()) : message;
      if (goesOn !== undefined) passed.push(goesOn);
      rest = rest.subarray(length);
    }
    this.#buffer = Buffer.from(rest);
    return { passed, input };
  }
}

/**
 * What of a viewer's handshake goes on: that it comes beside the others rather than in their place. The rest the gateway says
 * to the server itself; see viewHandshake.ts.
 */
function greeting(step: (typeof handshake)[number], bytes: Buffer): Buffer | undefined {
  if (step === "init") return Buffer.from([1]);
  const known = step === "version" ? bytes.toString("latin1") === "RFB 003.008\n" : bytes[0] === 1;
  if (!known) throw new RfbError(`the ${step} ${JSON.stringify(bytes.toString("latin1"))} is not known`);
  return undefined;
}
