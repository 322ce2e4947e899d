/**
 * Connect's streams of messages whose most is one field of bytes, read and written without a copy of the bytes; pure.
 *
 * A stream is a row of envelopes: a byte of flags, the length in four bytes, the message. A message of bytes is the field's tag,
 * the length as a varint, the bytes. The last envelope of an answer has the flag 2 and JSON.
 */
import { PodError } from "./podError.ts";

/** Bytes of the largest message that is put together: facts of a file, or how the stream ended. */
const maxMessageBytes = 1024 * 1024;

export type Part =
  /** A part of the field's bytes. */
  | { is: "bytes"; bytes: Buffer }
  /** A message without the field. */
  | { is: "message"; message: Buffer }
  /** The stream's end. */
  | { is: "end"; json: Buffer };

const tagOf = (field: number) => (field << 3) | 2;
const broken = (what: string) => new PodError("broken", what);

/** Takes a stream in pieces of any size, and gives its parts. */
export class ByteStreamReader {
  readonly #tag: number;
  /** What is there of something that is needed as a whole. */
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes of the field that are still to come. */
  #left = 0;

  /** @param field the number of the field of bytes */
  constructor(field: number) {
    this.#tag = tagOf(field);
  }

  /** Whether the stream is at an envelope's end. */
  get isWhole(): boolean {
    return this.#left === 0 && this.#pending.length === 0;
  }

  *take(piece: Buffer): Generator<Part> {
    let rest = piece;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const bytes = rest.subarray(0, this.#left);
        rest = rest.subarray(bytes.length);
        this.#left -= bytes.length;
        yield { is: "bytes", bytes };
        continue;
      }
      const head = this.#pending.length === 0 ? rest : Buffer.concat([this.#pending, rest]);
      const found = this.#next(head);
      if (found === undefined) {
        this.#pending = Buffer.from(head); // a copy, so that the piece can go
        return;
      }
      this.#pending = Buffer.alloc(0);
      rest = head.subarray(found.length);
      if (found.part !== undefined) yield found.part;
    }
  }

  /** What the bytes begin with: an envelope as a whole, or the head of one with the field; undefined if more is needed. */
  #next(bytes: Buffer): { length: number; part?: Part } | undefined {
    if (bytes.length < 5) return undefined;
    const [flags = 0] = bytes;
    const length = bytes.readUInt32BE(1);
    if (flags !== 0 && flags !== 2) throw broken(`an envelope has the flags ${flags}`);
    if (length === 0) return { length: 5 };
    if (flags === 0) {
      if (bytes.length < 6) return undefined;
      if (bytes[5] === this.#tag) return this.#begin(bytes, length);
    }
    if (length > maxMessageBytes) throw broken(`a message has ${length} bytes`);
    const end = 5 + length;
    if (bytes.length < end) return undefined;
    const message = Buffer.from(bytes.subarray(5, end));
    return { length: end, part: flags === 2 ? { is: "end", json: message } : { is: "message", message } };
  }

  #begin(bytes: Buffer, length: number): { length: number } | undefined {
    let size = 0;
    for (let at = 6; at < 11; at += 1) {
      const byte = bytes[at];
      if (byte === undefined) return undefined;
      size += (byte & 0x7f) * 2 ** (7 * (at - 6));
      if (byte >= 0x80) continue;
      if (at - 4 + size !== length) throw broken("a message has more than its bytes");
      this.#left = size;
      return { length: at + 1 };
    }
    throw broken("a field's length has no end");
  }
}

/** A message in its envelope. */
export function enveloped(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** What comes before the bytes of a message that has nothing but the field with so many bytes. */
export function headOf(field: number, size: number): Buffer {
  const varint: number[] = [];
  for (let left = size; ; left = Math.floor(left / 128)) {
    if (left < 128) {
      varint.push(left);
      break;
    }
    varint.push((left % 128) | 0x80);
  }
  const head = Buffer.from([0, 0, 0, 0, 0, tagOf(field), ...varint]);
  head.writeUInt32BE(1 + varint.length + size, 1);
  return head;
}
