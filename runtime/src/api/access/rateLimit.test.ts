import { expect, test } from "vitest";
import { networkOf } from "./rateLimit.ts";

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"],
  ["2001:db8:1:2:ffff::1", "2001:db8:1:2::"],
  ["192.0.2.7:51000", "192.0.2.7"],
  ["[2001:db8:1:2:3:4:5:6]:51000", "2001:db8:1:2::"],
  ["[2001:db8:1:2::1]", "2001:db8:1:2::"],
  ["unknown", "unknown"],
])("the address %s counts as %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
