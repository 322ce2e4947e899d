import { expect, test } from "vitest";
import { contains, exceptionsIn, internalRangeOf, isCidr, metadataRangeOf } from "./cidr.ts";

test.each(["0.0.0.0/0", "203.0.113.7/32", "::/0", "2001:db8::/32"])("%s is a range", (text) => {
  expect(isCidr(text)).toBe(true);
});

test.each(["203.0.113.7", "203.0.113.0/33", "2001:db8::/129", "example.com/24", "1.2.3/8", ""])(
  "%o is no range",
  (text) => {
    expect(isCidr(text)).toBe(false);
  },
);

test("a range contains itself and smaller ranges inside it, but no range of the other IP version", () => {
  expect(contains("10.0.0.0/8", "10.0.0.0/8")).toBe(true);
  expect(contains("10.0.0.0/8", "10.200.0.1/32")).toBe(true);
  expect(contains("10.0.0.0/16", "10.0.0.0/8")).toBe(false);
  expect(contains("10.0.0.0/8", "11.0.0.0/8")).toBe(false);
  expect(contains("0.0.0.0/0", "fc00::/7")).toBe(false);
  expect(contains("::/0", "fc00::/7")).toBe(true);
});

test("a rule for the whole internet excludes private, link-local and metadata ranges of IPv4 and IPv6", () => {
  expect(exceptionsIn("0.0.0.0/0")).toEqual(
    expect.arrayContaining(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"]),
  );
  expect(exceptionsIn("::/0")).toEqual(expect.arrayContaining(["fc00::/7", "fe80::/10", "64:ff9b::/96"]));
  expect(exceptionsIn("203.0.113.0/24")).toEqual([]);
});

test("a rule also excludes a public address of the Kubernetes API", () => {
  expect(exceptionsIn("203.0.113.0/24", ["203.0.113.9/32"])).toEqual(["203.0.113.9/32"]);
  expect(exceptionsIn("0.0.0.0/0", ["10.0.0.1/32"])).toEqual(exceptionsIn("0.0.0.0/0"));
});

test("a rule for a private range excludes metadata services, nodes and the Kubernetes API in it", () => {
  expect(exceptionsIn("10.0.0.0/8", ["10.0.0.1/32", "10.4.0.0/16", "10.4.7.7/32"])).toEqual([
    "10.0.0.1/32",
    "10.4.0.0/16",
  ]);
  expect(exceptionsIn("10.1.2.3/8")).toEqual([]); // the same range as 10.0.0.0/8
  expect(exceptionsIn("100.64.0.0/10")).toEqual(["100.100.100.200/32"]);
  expect(exceptionsIn("fc00::/7")).toEqual(["fd00:ec2::/32", "fd20:ce::254/128"]);
});

test("metadataRangeOf finds the metadata service in a private range", () => {
  expect(metadataRangeOf("fd00:ec2::254/128")).toBe("fd00:ec2::/32");
  expect(metadataRangeOf("100.100.100.200/32")).toBe("100.100.100.200/32");
  expect(metadataRangeOf("10.0.0.0/8")).toBeUndefined();
});

test("internalRangeOf finds the internal range that contains a rule's range", () => {
  expect(internalRangeOf("169.254.169.254/32")).toBe("169.254.0.0/16");
  expect(internalRangeOf("fd00:ec2::254/128")).toBe("fc00::/7");
  expect(internalRangeOf("203.0.113.0/24")).toBeUndefined();
});
