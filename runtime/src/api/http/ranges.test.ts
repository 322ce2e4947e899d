import { expect, test } from "vitest";
import { attachment, namesEtag, rangeOf } from "./ranges.ts";

test.each([
  ["bytes=0-9", 100, { first: 0, last: 9 }],
  ["bytes=90-", 100, { first: 90, last: 99 }],
  ["bytes=90-200", 100, { first: 90, last: 99 }],
  ["bytes=-10", 100, { first: 90, last: 99 }],
  ["bytes=-200", 100, { first: 0, last: 99 }],
  ["Bytes=5-5", 100, { first: 5, last: 5 }],
  ["bytes=100-", 100, "unsatisfiable"],
  ["bytes=-0", 100, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=-1", 0, "unsatisfiable"],
  ["bytes=9-5", 100, undefined],
  ["bytes=0-1,5-6", 100, undefined],
  ["bytes=-", 100, undefined],
  ["lines=0-1", 100, undefined],
  ["bytes=a-b", 100, undefined],
  [undefined, 100, undefined],
])("%s of %d bytes", (header, size, range) => {
  expect(rangeOf(header, size)).toEqual(range);
});

test("an ETag is named by itself, in a list, weakly, or by an asterisk", () => {
  for (const header of ['"a"', '"b", "a"', 'W/"a"', "*"]) expect(namesEtag(header, '"a"'), header).toBe(true);
  for (const header of [undefined, "", '"b"', "a"]) expect(namesEtag(header, '"a"'), header).toBe(false);
});

test("a name with any characters is a header that can be sent", () => {
  expect(attachment("a b'(é)\n*.txt")).toBe("attachment; filename*=UTF-8''a%20b%27%28%C3%A9%29%0A%2A.txt");
});
