import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { RfbClient, RfbError } from "./rfbClient.ts";

const hello = Buffer.concat([Buffer.from("RFB 003.008\n"), Buffer.from([1]), Buffer.from([1])]);
/** The part that reaches the desktop in view mode. */
const init = Buffer.from([1]);

/** Big-endian numbers, each with its size in bytes. */
const bytes = (...fields: [value: number, width: number][]): Buffer =>
  Buffer.concat(
    fields.map(([value, width]) => {
      const field = Buffer.alloc(width);
      if (width > 0) field.writeUIntBE(value, 0, width);
      return field;
    }),
  );
const filler = (length: number) => Buffer.alloc(length, 0x55);

const viewMessages = {
  setPixelFormat: Buffer.concat([bytes([0, 1]), filler(19)]),
  setEncodings: Buffer.concat([bytes([2, 1], [0, 1], [3, 2]), filler(12)]),
  updateRequest: Buffer.concat([bytes([3, 1]), filler(9)]),
  continuousUpdates: Buffer.concat([bytes([150, 1]), filler(9)]),
  fence: Buffer.concat([bytes([248, 1], [0, 3], [1, 4], [5, 1]), filler(5)]),
};
const touch = {
  key: Buffer.concat([bytes([4, 1]), filler(7)]),
  pointer: bytes([5, 1], [1, 1], [10, 2], [20, 2]),
  moreButtons: bytes([5, 1], [0x81, 1], [10, 2], [20, 2], [1, 1]),
  cutText: Buffer.concat([bytes([6, 1], [0, 3], [300, 4]), filler(300)]),
  extendedCutText: Buffer.concat([bytes([6, 1], [0, 3], [0x1_0000_0000 - 40, 4]), filler(40)]),
  qemuKey: Buffer.concat([bytes([255, 1], [0, 1]), filler(10)]),
};
const other = {
  setDesktopSize: Buffer.concat([bytes([251, 1], [0, 1], [1, 2], [1, 2], [2, 1], [0, 1]), filler(32)]),
  powerOff: bytes([250, 1], [0, 1], [1, 1], [2, 1]),
};

/** The stream cut into chunks at the given offsets. */
function cut(stream: Buffer, places: number[]): Buffer[] {
  const at = [...new Set([0, ...places.map((place) => place % (stream.length + 1)), stream.length])];
  at.sort((a, b) => a - b);
  return at.slice(1).map((end, index) => stream.subarray(at[index], end));
}

const message = fc.constantFrom(...Object.values(viewMessages), ...Object.values(touch), ...Object.values(other));
const places = fc.array(fc.nat(5_000), { maxLength: 40 });

test("only a viewer's requests for pictures get through, however the bytes are cut", () => {
  const passing = new Set<Buffer>(Object.values(viewMessages));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), places, (messages, at) => {
      const viewer = new RfbClient("view");
      const passed = cut(Buffer.concat([hello, ...messages]), at).map((piece) => viewer.take(piece).pass);
      const expected = Buffer.concat([init, ...messages.filter((one) => passing.has(one))]);
      expect(Buffer.concat(passed).equals(expected)).toBe(true);
    }),
  );
});

test("everything from a user gets through unchanged, and input is distinguished from viewing", () => {
  const touching = new Set<Buffer>(Object.values(touch));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), places, (messages, at) => {
      const user = new RfbClient("interactive");
      const taken = cut(Buffer.concat([hello, ...messages]), at).map((piece) => user.take(piece));
      expect(Buffer.concat(taken.map(({ pass }) => pass)).equals(Buffer.concat([hello, ...messages]))).toBe(true);
      expect(taken.some(({ input }) => input)).toBe(messages.some((one) => touching.has(one)));
    }),
  );
});

test("whatever bytes a viewer sends, no key, pointer or clipboard message gets through", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      const viewer = new RfbClient("view");
      viewer.take(hello);
      let out = Buffer.alloc(0);
      try {
        for (const chunk of chunks) out = Buffer.concat([out, viewer.take(Buffer.from(chunk)).pass]);
      } catch (error) {
        expect(error).toBeInstanceOf(RfbError);
      }
      const reread = new RfbClient("interactive");
      reread.take(hello);
      expect(reread.take(out).input).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test("a viewer can't request the desktop exclusively, nor a handshake that we can't parse", () => {
  const alone = Buffer.from(hello);
  alone[13] = 0;
  expect(new RfbClient("view").take(alone).pass).toEqual(init);
  expect(() => new RfbClient("view").take(Buffer.from("RFB 003.003\n"))).toThrow(RfbError);
  expect(() => new RfbClient("view").take(Buffer.concat([hello.subarray(0, 12), Buffer.from([2])]))).toThrow(RfbError);
  expect(() => new RfbClient("view").take(Buffer.concat([hello, Buffer.from([99])]))).toThrow(RfbError);
});

test("if a user's client sends messages that we don't know, they get through and count as activity", () => {
  const user = new RfbClient("interactive");
  const strange = Buffer.from([99, 1, 2, 3]);
  expect(user.take(Buffer.concat([hello, strange]))).toEqual({ pass: Buffer.concat([hello, strange]), input: true });
  expect(user.take(viewMessages.updateRequest)).toEqual({ pass: viewMessages.updateRequest, input: true });
});
