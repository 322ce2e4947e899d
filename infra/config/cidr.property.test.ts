/** What the allow list lets through, for any rule and any address; ipaddr.js says what an address is. */
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { expect, test } from "vitest";
import { contains, exceptionsIn, internalRangeOf, isCidr } from "./cidr.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Blocks of IANA's special-purpose registries, and public ones beside them. */
const blocks = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "8.8.8.0/24", "172.0.0.0/8", "192.0.0.0/8"],
  ...["::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fc00::/7", "fe80::/10"],
  ...["fec0::/10", "ff00::/8", "2606:4700::/32", "2a00::/12", "2003::/16"],
];

const fromBytes = (bytes: number[]) => ipaddr.fromByteArray(bytes) as Address;

/** Addresses of all kinds: anywhere, inside a block, and one before and after its ends. */
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => fromBytes([...bytes])),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => fromBytes([...bytes])),
  fc.tuple(fc.constantFrom(...blocks), fc.uint8Array({ minLength: 16, maxLength: 16 })).map(([block, random]) => {
    const [base, prefix] = ipaddr.parseCIDR(block);
    return fromBytes(base.toByteArray().map((byte, index) => mix(byte, random[index] ?? 0, prefix - 8 * index)));
  }),
  fc
    .tuple(fc.constantFrom(...blocks), fc.constantFrom(0, 255), fc.constantFrom(-1n, 0n, 1n))
    .map(([block, fill, step]) => {
      const [base, prefix] = ipaddr.parseCIDR(block);
      const bytes = base.toByteArray().map((byte, index) => mix(byte, fill, prefix - 8 * index));
      const bits = BigInt(8 * bytes.length);
      const number = BigInt.asUintN(Number(bits), BigInt(`0x${Buffer.from(bytes).toString("hex")}`) + step);
      return fromBytes([...Buffer.from(number.toString(16).padStart(2 * bytes.length, "0"), "hex")]);
    }),
);

/** The first `bits` bits of one byte, the rest of the other. */
function mix(first: number, rest: number, bits: number): number {
  const mask = bits >= 8 ? 255 : bits <= 0 ? 0 : 255 & ~(255 >> bits);
  return (first & mask) | (rest & ~mask & 255);
}

/** An address and a rule around it that the config takes. */
const within = (kinds: (address: Address) => boolean) =>
  fc
    .tuple(address.filter(kinds), fc.nat(128))
    .map(([one, length]) => ({ one, cidr: `${one.toString()}/${length % (8 * one.toByteArray().length + 1)}` }))
    .filter(({ cidr }) => internalRangeOf(cidr) === undefined);

const isIn = (address: Address, cidr: string) => {
  const [base, prefix] = ipaddr.parseCIDR(cidr);
  return base.kind() === address.kind() && address.match(base, prefix);
};

const isLetThrough = (address: Address, cidr: string, more: string[] = []) =>
  isIn(address, cidr) && !exceptionsIn(cidr, more).some((except) => isIn(address, except));

const internal = [
  ...["unspecified", "broadcast", "multicast", "linkLocal", "loopback", "carrierGradeNat", "private"],
  ...["uniqueLocal", "rfc6052", "6to4", "teredo"],
];
const metadata = [
  "169.254.169.254",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
  "fd00:ec2::254",
  "fd20:ce::254",
];

test("no rule ever lets an internal address through", () => {
  const addresses = within((one) => internal.includes(one.range()));
  fc.assert(fc.property(addresses, ({ one, cidr }) => void expect(isLetThrough(one, cidr)).toBe(false)));
});

test("no rule ever loses a public address", () => {
  const addresses = within((one) => one.range() === "unicast" && !metadata.includes(one.toString()));
  fc.assert(fc.property(addresses, ({ one, cidr }) => void expect(isLetThrough(one, cidr)).toBe(true)));
});

test.each(metadata)("%s, where a cloud answers with credentials, is never let through", (text) => {
  const one = ipaddr.parse(text);
  for (const cidr of ["0.0.0.0/0", "168.0.0.0/6", "::/0", "f000::/4"]) expect(isLetThrough(one, cidr)).toBe(false);
});

test("the cluster's own API is never let through, whatever its address", () => {
  fc.assert(
    fc.property(
      within((one) => one.range() !== "ipv4Mapped"),
      ({ one, cidr }) => {
        const api = `${one.toString()}/${8 * one.toByteArray().length}`;
        fc.pre(!contains(api, cidr)); // a rule for the API itself is refused
        expect(isLetThrough(one, cidr, [api])).toBe(false);
      },
    ),
  );
});

test("every exception lies in its rule and is smaller, as Kubernetes asks", () => {
  fc.assert(
    fc.property(
      within(() => true),
      ({ cidr }) => {
        for (const except of exceptionsIn(cidr)) {
          expect(Number(except.split("/")[1])).toBeGreaterThan(Number(cidr.split("/")[1]));
          expect(isIn(ipaddr.parseCIDR(except)[0], cidr)).toBe(true);
        }
      },
    ),
  );
});

test("any text is a range or none, and never an error", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(typeof isCidr(text)).toBe("boolean");
    }),
  );
});
