import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ByteStreamReader, enveloped, headOf, type Part } from "./byteStream.ts";
import { FileKind, ReadResponseSchema, WriteRequestSchema } from "./gen/berth/v1/files_pb.ts";

const info = toBinary(
  ReadResponseSchema,
  create(ReadResponseSchema, { kind: { case: "info", value: { path: "/w/a", kind: FileKind.FILE, size: 300n } } }),
);
const data = (bytes: Buffer) =>
  enveloped(toBinary(ReadResponseSchema, create(ReadResponseSchema, { kind: { case: "data", value: bytes } })));
const end = (json: string) => {
  const envelope = enveloped(Buffer.from(json));
  envelope[0] = 2;
  return envelope;
};

/** The parts of a stream that comes in pieces of so many bytes, bytes that belong together put together. */
function parts(stream: Buffer, size: number): (Part | string)[] {
  const reader = new ByteStreamReader(2);
  const found: (Part | string)[] = [];
  let bytes = Buffer.alloc(0);
  for (let at = 0; at < stream.length; at += size) {
    for (const part of reader.take(stream.subarray(at, at + size))) {
      if (part.is === "bytes") bytes = Buffer.concat([bytes, part.bytes]);
      else found.push(part);
    }
  }
  expect(reader.isWhole).toBe(true);
  return [...found, bytes.toString("latin1")];
}

test.each([1, 2, 3, 7, 64, 1_000_000])(
  "a stream in pieces of %d bytes gives its messages, all bytes, and its end",
  (size) => {
    const [one, two] = [Buffer.alloc(300, "a"), Buffer.alloc(70_000, "b")];
    const empty = Buffer.alloc(5);
    const stream = Buffer.concat([enveloped(info), data(one), empty, data(Buffer.alloc(0)), data(two), end("{}")]);
    expect(parts(stream, size)).toEqual([
      { is: "message", message: Buffer.from(info) },
      { is: "end", json: Buffer.from("{}") },
      `${one}${two}`,
    ]);
  },
);

test("bytes are passed on without being copied", () => {
  const stream = data(Buffer.alloc(1_000, "a"));
  const [part] = new ByteStreamReader(2).take(stream);
  expect(part?.is === "bytes" && part.bytes.buffer === stream.buffer).toBe(true);
});

test("what is no such stream is refused, and a stream that stops in the middle is not whole", () => {
  const take = (bytes: number[]) => [...new ByteStreamReader(2).take(Buffer.from(bytes))];
  expect(() => take([1, 0, 0, 0, 1, 0])).toThrow("flags");
  expect(() => take([0, 0xff, 0, 0, 0, 0x0a])).toThrow("a message has");
  expect(() => take([0, 0, 0, 0, 9, 0x12, 3, 1, 2, 3])).toThrow("more than its bytes");
  expect(() => take([0, 0, 0, 0, 9, 0x12, 0x80, 0x80, 0x80, 0x80, 0x80])).toThrow("no end");
  const reader = new ByteStreamReader(2);
  for (const _ of reader.take(data(Buffer.alloc(10)).subarray(0, 9)));
  expect(reader.isWhole).toBe(false);
});

test.each([0, 1, 127, 128, 16_383, 16_384, 65_536, 2_097_152])(
  "the head of a message of %d bytes is as Protobuf has it",
  (size) => {
    const bytes = Buffer.alloc(size, "x");
    const message = create(WriteRequestSchema, { kind: { case: "data", value: bytes } });
    expect(Buffer.concat([headOf(2, size), bytes]).equals(enveloped(toBinary(WriteRequestSchema, message)))).toBe(true);
  },
);
