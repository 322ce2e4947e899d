/** Writes many bytes without work for the garbage collector. */
import type { Writable } from "node:stream";

/**
 * Changes the stream so that it frees the memory of each chunk as soon as the chunk is written. Otherwise, a fast transfer
 * makes the garbage collector stop the whole process several times per second. No caller may use a chunk after the stream
 * has written it.
 */
export function givingBack<T extends Writable>(stream: T): T {
  const write = stream.write.bind(stream) as (chunk: unknown, encoding?: unknown, done?: unknown) => boolean;
  const writeAndGiveBack = (chunk: unknown, encoding?: unknown, done?: unknown): boolean => {
    const callback = typeof encoding === "function" ? encoding : done;
    return write(chunk, typeof encoding === "string" ? encoding : undefined, (error?: Error | null) => {
      giveBack(chunk);
      if (typeof callback === "function") callback(error);
    });
  };
  return Object.assign(stream, { write: writeAndGiveBack });
}

/** Frees the memory of a buffer, unless other buffers share this memory. */
export function giveBack(chunk: unknown): void {
  if (!Buffer.isBuffer(chunk)) return;
  const { buffer, byteLength } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
