/** Tests which addresses a tenant's egress rules open, for random rules and addresses. ipaddr.js classifies the addresses. */
import fc from "@berth/testing/fast-check.ts";
import ipaddr from "ipaddr.js";
import { expect, test } from "vitest";
import { contains, exceptionsIn, internalRangeOf, isCidr, metadataRangeOf, privateRanges } from "./cidr.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Address blocks of IANA's special-purpose registries, and public blocks next to them. */
const blocks = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "8.8.8.0/24", "172.0.0.0/8", "192.0.0.0/8"],
  ...["::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fc00::/7", "fe80::/10"],
  ...["fec0::/10", "ff00::/8", "2606:4700::/32", "2a00::/12", "2003::/16"],
];

const fromBytes = (bytes: number[]) => ipaddr.fromByteArray(bytes) as Address;

/** Random addresses, addresses inside a block, and the addresses just before and after a block. */
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

/** A byte that consists of the first `bits` bits of `first` and the remaining bits of `rest`. */
function mix(first: number, rest: number, bits: number): number {
  const mask = bits >= 8 ? 255 : bits <= 0 ? 0 : 255 & ~(255 >> bits);
  return (first & mask) | (rest & ~mask & 255);
}

/** An address, and a valid egress rule whose range contains the address. */
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

test("no egress rule lets an internal address through", () => {
  const addresses = within((one) => internal.includes(one.range()));
  fc.assert(fc.property(addresses, ({ one, cidr }) => void expect(isLetThrough(one, cidr)).toBe(false)));
});

test("an egress rule lets every public address of its range through", () => {
  const addresses = within((one) => one.range() === "unicast" && !metadata.includes(one.toString()));
  fc.assert(fc.property(addresses, ({ one, cidr }) => void expect(isLetThrough(one, cidr)).toBe(true)));
});

test.each(metadata)(
  "no egress rule lets the metadata service %s through, which hands out cloud credentials",
  (text) => {
    const one = ipaddr.parse(text);
    for (const cidr of ["0.0.0.0/0", "168.0.0.0/6", "::/0", "f000::/4"]) expect(isLetThrough(one, cidr)).toBe(false);
  },
);

test("no egress rule lets the Kubernetes API through, whatever the API's address is", () => {
  fc.assert(
    fc.property(
      within((one) => one.range() !== "ipv4Mapped"),
      ({ one, cidr }) => {
        const api = `${one.toString()}/${8 * one.toByteArray().length}`;
        fc.pre(!contains(api, cidr)); // the stack refuses a rule for the API itself
        expect(isLetThrough(one, cidr, [api])).toBe(false);
      },
    ),
  );
});

/** An address in a private range, and a valid rule with `private: true` whose range contains the address. */
const privately = fc
  .tuple(
    fc.constantFrom(...privateRanges.map((range) => ipaddr.parseCIDR(range))),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.nat(128),
  )
  .map(([[base, prefix], random, length]) => {
    const one = fromBytes(base.toByteArray().map((byte, index) => mix(byte, random[index] ?? 0, prefix - 8 * index)));
    const longest = 8 * one.toByteArray().length;
    return { one, cidr: `${one.toString()}/${prefix + (length % (longest - prefix + 1))}` };
  })
  .filter(({ cidr }) => metadataRangeOf(cidr) === undefined);

test("a rule for a private range lets its addresses through, but neither metadata services nor nodes nor the Kubernetes API", () => {
  fc.assert(
    fc.property(privately, privately, ({ one, cidr }, { one: node }) => {
      const single = (address: Address) => `${address.toString()}/${8 * address.toByteArray().length}`;
      const closed = single(node);
      const isClosed = node.toString() === one.toString() || metadataRangeOf(single(one)) !== undefined;
      fc.pre(!contains(closed, cidr)); // the stack refuses a rule for a node or the API itself
      expect(isLetThrough(one, cidr, [closed])).toBe(!isClosed);
    }),
  );
  for (const [address, cidr] of [
    ["100.100.100.200", "100.64.0.0/10"],
    ["fd00:ec2::254", "fc00::/7"],
    ["fd20:ce::254", "fd20::/16"],
  ] as const)
    expect(isLetThrough(ipaddr.parse(address), cidr)).toBe(false);
});

test("every exception lies in the range of its rule and is smaller, because Kubernetes requires this", () => {
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

test("isCidr accepts or refuses any text and never throws", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(typeof isCidr(text)).toBe("boolean");
    }),
  );
});
