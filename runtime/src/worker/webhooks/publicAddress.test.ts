import { expect, test } from "vitest";
import { isPublic, publicLookup, refuseAddress } from "./publicAddress.ts";

test.each([
  "127.0.0.1",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "fe80::1",
  "fc00::1",
  "fd00:ec2::254",
  "::ffff:10.0.0.1",
  "64:ff9b::a00:1",
  "2002:a00:1::",
  "not-an-address",
])("%s is not public", (address) => {
  expect(isPublic(address)).toBe(false);
});

test.each(["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111"])("%s is public", (address) => {
  expect(isPublic(address)).toBe(true);
});

test.each([
  "https://127.0.0.1/",
  "https://2130706433/",
  "https://0x7f.1/",
  "https://[::1]/",
  "https://[::ffff:169.254.169.254]/",
])("%s is refused, however it is written", (url) => {
  expect(() => refuseAddress(new URL(url))).toThrow("is not a public address");
});

test("a name that resolves to a private address is refused", async () => {
  const failure = await new Promise<Error | null>((resolve) =>
    publicLookup("localhost", { all: true }, (error) => resolve(error)),
  );
  expect(failure?.message).toMatch(/^localhost \(.*\) is not a public address$/);
});
