import { expect, test } from "vitest";
import { FrameGate } from "./frameGate.ts";

/** Frames in the form that servers send, and one in the form that clients send, with a masked payload. */
const frames = [
  ...[0, 1, 125, 126, 65_535, 65_536].map((size) => frame(Buffer.alloc(size, 0x88))),
  frame(Buffer.from("ping"), { first: 0x89 }),
  frame(Buffer.from("the first part"), { first: 0x02 }),
  frame(Buffer.from("masked"), { mask: true }),
];
const all = Buffer.concat(frames);
const ends = frames.map((_frame, at) => Buffer.concat(frames.slice(0, at + 1)).length);
const close = Buffer.from([0x88, 6, 1012 >> 8, 1012 & 0xff, ...Buffer.from("more")]);

function frame(payload: Buffer, { first = 0x82, mask = false } = {}): Buffer {
  const { length } = payload;
  const long = Buffer.alloc(length > 0xffff ? 8 : length > 125 ? 2 : 0);
  if (long.length === 2) long.writeUInt16BE(length);
  if (long.length === 8) long.writeBigUInt64BE(BigInt(length));
  const short = long.length === 8 ? 127 : long.length === 2 ? 126 : length;
  const head = Buffer.from([first, mask ? short | 0x80 : short]);
  return Buffer.concat([head, long, Buffer.alloc(mask ? 4 : 0), payload]);
}

/** Writes the first `at` pieces to a gate, calls `endWith`, writes the other pieces, and returns what comes out. */
async function through(pieces: Buffer[], at: number): Promise<Buffer> {
  const gate = new FrameGate();
  for (const piece of pieces.slice(0, at)) gate.write(piece);
  gate.endWith(1012, "more");
  for (const piece of pieces.slice(at)) gate.write(piece);
  gate.end();
  return Buffer.concat(await gate.toArray());
}

test("wherever a stream is ended, the Close frame comes after whole frames, and nothing comes after it", async () => {
  const near = ends.flatMap((end) => Array.from({ length: 30 }, (_, offset) => end - 15 + offset));
  for (const cut of [0, 1, ...near].filter((at) => at >= 0 && at <= all.length)) {
    const whole = [0, ...ends].find((end) => end >= cut);
    const wanted = Buffer.concat([all.subarray(0, whole), close]);
    expect((await through([all.subarray(0, cut), all.subarray(cut)], 1)).equals(wanted), `cut at ${cut}`).toBe(true);
  }
});

test("frames may come byte by byte", async () => {
  const bytes = [...all.subarray(0, 500)].map((byte) => Buffer.of(byte));
  const whole = ends.find((end) => end >= 200);
  expect(await through(bytes, 200)).toEqual(Buffer.concat([all.subarray(0, whole), close]));
});

test("without an end, all bytes pass; one that ends in the middle of a frame ends there", async () => {
  const gate = new FrameGate();
  gate.write(all);
  gate.end(frames[5]?.subarray(0, 100));
  gate.endWith(1012, "more");
  expect(Buffer.concat(await gate.toArray()).length).toBe(all.length + 100);
});
