/**
 * Forwards one direction of a WebSocket unchanged, and can end that direction with a Close frame (RFC 6455, 5.2). The Close
 * frame is sent between two frames, because in the middle of another frame the receiver would take it for payload.
 */
import { Transform, type TransformCallback } from "node:stream";
import { closeReason } from "./bridge.ts";

const none: Buffer = Buffer.alloc(0);

/** The number of bytes of the longest header of a frame. */
const maxHeader = 14;

export class FrameGate extends Transform {
  /** The bytes of a frame's header that is not complete yet. */
  #header = none;
  /** How many bytes of the frame's payload have not arrived yet. */
  #left = 0;
  #close: Buffer | undefined;
  #isClosed = false;

  /** Ends the stream with a Close frame as soon as the current frame is complete. Drops all later bytes. */
  endWith(code: number, reason: string): void {
    if (this.#close !== undefined || this.writableEnded) return;
    this.#close = closeFrame(code, reason);
    if (this.#isBetween) this.#finish(this.#close);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (!this.#isClosed) this.#pass(chunk);
    done();
  }

  #pass(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#skip(chunk, at);
      if (this.#close === undefined || !this.#isBetween) continue;
      this.push(chunk.subarray(0, at));
      this.#finish(this.#close);
      return;
    }
    this.push(chunk);
  }

  #finish(close: Buffer): void {
    this.#isClosed = true;
    this.push(close);
    this.push(null);
  }

  get #isBetween(): boolean {
    return this.#left === 0 && this.#header.length === 0;
  }

  /** Returns where the current header or payload ends in the chunk; the chunk's length if it does not end there. */
  #skip(chunk: Buffer, at: number): number {
    if (this.#left > 0) {
      const length = Math.min(this.#left, chunk.length - at);
      this.#left -= length;
      return at + length;
    }
    const known = this.#header.length;
    const more = chunk.subarray(at, at + maxHeader - known);
    const header = known === 0 ? more : Buffer.concat([this.#header, more]);
    const frame = frameOf(header);
    this.#header = frame === undefined ? Buffer.from(header) : none;
    if (frame === undefined) return chunk.length;
    this.#left = frame.payload;
    return at + frame.header - known;
  }
}

/** Returns the lengths of the frame's header and payload; undefined if the header is not complete. */
function frameOf(header: Buffer): { header: number; payload: number } | undefined {
  const second = header[1];
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const size = 2 + lengthBytes + (second & 0x80 ? 4 : 0);
  if (header.length < size) return undefined;
  if (lengthBytes === 0) return { header: size, payload: short };
  return { header: size, payload: lengthBytes === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2)) };
}

/** A server's Close frame. */
function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(closeReason(reason));
  const frame = Buffer.from([0x88, 2 + text.length, code >> 8, code & 0xff]);
  return Buffer.concat([frame, text]);
}
