/**
 * Parses the messages that a desktop's user sends (RFC 6143 and the extensions of noVNC and TigerVNC). The gateway
 * has to know which messages are input, and in the mode `view` the gateway forwards no input.
 *
 * In the mode `view`, only complete messages of the types in `viewMessages` reach the desktop. So a viewer can't send
 * bytes that the gateway and the desktop understand differently.
 */
import type { DesktopMode } from "../api/access/tickets.ts";
import { sharedPace, ViewerPace } from "./viewerPace.ts";

/** The client, or the desktop's server in the handshake, does not keep to the part of RFB that the gateway knows. */
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

/**
 * The types of messages that the desktop needs to send pictures: SetPixelFormat, SetEncodings, FramebufferUpdateRequest,
 * EnableContinuousUpdates, Fence.
 */
const viewMessages = new Set([0, setEncodings, updateRequest, 150, fence]);

/** Messages that are input: KeyEvent, PointerEvent, ClientCutText, and QEMU's key event. */
const inputs = new Set([4, pointerEvent, clientCutText, qemu]);

const fixedLengths: Record<number, number> = { 0: 20, 3: 10, 4: 8, 150: 10, 250: 4 };

/** The length of the message at the start of the buffer; undefined: more bytes are needed. Throws RfbError. */
function messageLength(buffer: Buffer): number | undefined {
  const type = buffer[0] ?? 0;
  const fixed = fixedLengths[type];
  if (fixed !== undefined) return fixed;
  switch (type) {
    case setEncodings:
      return buffer.length < 4 ? undefined : 4 + 4 * buffer.readUInt16BE(2);
    case pointerEvent: // the mask's highest bit marks the format with more buttons
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

/** The client's messages of the handshake, in order. */
const handshake = ["version", "security", "init"] as const;

export class RfbClient {
  #buffer: Buffer = Buffer.alloc(0);
  /** How many bytes of a dropped message are still to come. */
  #dropping = 0;
  #step = 0;
  /** True after an unknown message in the mode `interactive`: all later bytes are forwarded and count as input. */
  #blind = false;

  readonly #pace: ViewerPace;

  constructor(
    private readonly mode: DesktopMode,
    /** A monotonic clock, in milliseconds. */
    private readonly now: () => number = () => performance.now(),
    /** Limits how often the client may request pictures in the mode `view`. */
    pace = sharedPace(),
  ) {
    this.#pace = new ViewerPace(pace);
  }

  /**
   * Returns the bytes that the desktop may get, and whether the chunk contains input. In the mode `view`, throws an
   * RfbError for an invalid message and a FloodError for too many messages, and keeps back some requests for pictures,
   * which `later` returns when they are due.
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

  /** In how many milliseconds `later` returns a request; undefined: no request is delayed. */
  due(): number | undefined {
    return this.#pace.due(this.now());
  }

  /** Returns a delayed request for a picture that is due now; undefined: no request is due. */
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
      // A message that arrives in pieces is parsed several times, but must count once.
      if (this.mode === "view" && (rest.length >= length || !viewMessages.has(type))) this.#pace.count(this.now());
      input ||= inputs.has(type);
      if (!viewMessages.has(type)) {
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
 * Returns what the desktop gets in place of this part of a viewer's handshake. In the step `init` this is always the byte 1
 * (share the desktop with other clients), even if the viewer asked for the desktop exclusively. In the other steps it is
 * undefined, because the gateway does these steps itself; see viewHandshake.ts.
 * @throws RfbError if the gateway does not know the viewer's message
 */
function greeting(step: (typeof handshake)[number], bytes: Buffer): Buffer | undefined {
  if (step === "init") return Buffer.from([1]);
  const known = step === "version" ? bytes.toString("latin1") === "RFB 003.008\n" : bytes[0] === 1;
  if (!known) throw new RfbError(`the ${step} ${JSON.stringify(bytes.toString("latin1"))} is not known`);
  return undefined;
}
