import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { givingBack } from "./givingBack.ts";

/** Returns a slow stream: each write to the stream remains unfinished until the test calls `written`. */
function slow() {
  const seen: string[] = [];
  let written = () => {};
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      seen.push(chunk.toString());
      written = done;
    },
  });
  return { stream: givingBack(stream), seen, written: () => written() };
}

test("a chunk's memory is given back once the chunk is written, and not before", async () => {
  const { stream, seen, written } = slow();
  const chunk = Buffer.from(new Uint8Array(8).fill(97).buffer);
  const done = new Promise<void>((resolve) => stream.write(chunk, () => resolve()));
  expect([seen, chunk.length]).toEqual([["aaaaaaaa"], 8]);
  written();
  await done;
  expect(chunk.length).toBe(0);
});

test("what others have a part of stays, and so does text", async () => {
  const { stream, seen, written } = slow();
  const whole = Buffer.from(new Uint8Array(8).fill(98).buffer);
  for (const chunk of [whole.subarray(4), "text"]) {
    const done = new Promise<void>((resolve) => stream.write(chunk, "utf8", () => resolve()));
    written();
    await done;
  }
  expect([seen, whole.toString()]).toEqual([["bbbb", "text"], "bbbbbbbb"]);
});
