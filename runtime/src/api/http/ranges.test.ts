import { expect, test } from "vitest";
import { attachment, oneRange } from "./ranges.ts";

test.each([
  ["bytes=0-9", "bytes=0-9"],
  ["bytes=90-", "bytes=90-"],
  ["bytes=-10", "bytes=-10"],
  ["Bytes=5-5 ", "bytes=5-5"],
  ["bytes=-0", undefined],
  ["bytes=9-5", undefined],
  ["bytes=0-1,5-6", undefined],
  ["bytes=-", undefined],
  ["lines=0-1", undefined],
  ["bytes=a-b", undefined],
  [undefined, undefined],
])("of the header %s the range is %s", (header, range) => {
  expect(oneRange(header)).toBe(range);
});

test("a name with any characters becomes a valid header", () => {
  expect(attachment("a b'(é)\n*.txt")).toBe("attachment; filename*=UTF-8''a%20b%27%28%C3%A9%29%0A%2A.txt");
});
