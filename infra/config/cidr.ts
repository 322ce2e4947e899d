/** Address ranges for egress rules. */
import { BlockList, isIP } from "node:net";

/**
 * Ranges that stay closed to sessions: private networks, the cluster itself, cloud metadata services (Azure's has a public
 * address), loopback, multicast, and the IPv6 ranges that embed IPv4 addresses (NAT64, Teredo, 6to4). An egress rule with
 * `private: true` can open some of them; see `privateRanges`.
 */
export const internalRanges = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/128",
  "::1/128",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2001::/32",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** The internal ranges that a rule with `private: true` can open: networks of an organization or of a cloud account. */
export const privateRanges = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/**
 * Addresses of cloud metadata services, which give credentials to every client that asks. In this order: the range with the
 * address that all clouds use, then the addresses of Azure, Alibaba and Oracle, and the IPv6 ranges of AWS and Google. Some of
 * them are private addresses and some are not.
 */
const metadataRanges = [
  "169.254.0.0/16",
  "168.63.129.16/32",
  "100.100.100.200/32",
  "192.0.0.192/32",
  "fd00:ec2::/32",
  "fd20:ce::254/128",
];

interface Range {
  address: string;
  prefix: number;
  family: "ipv4" | "ipv6";
}

function parse(cidr: string): Range | undefined {
  const [, address = "", prefix = ""] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(prefix) > (version === 4 ? 32 : 128)) return undefined;
  return { address, prefix: Number(prefix), family: version === 4 ? "ipv4" : "ipv6" };
}

/** Whether the text is an IPv4 or IPv6 range such as 203.0.113.0/24. */
export const isCidr = (text: string): boolean => parse(text) !== undefined;

/** The range that contains only this IPv4 or IPv6 address, for example 10.0.0.1/32. */
export const rangeOfAddress = (address: string): string => `${address}/${address.includes(":") ? 128 : 32}`;

/** Whether the range `inner` lies in the range `outer`. A range lies in itself. Both ranges must be valid. */
export function contains(outer: string, inner: string): boolean {
  const [a, b] = [parse(outer), parse(inner)];
  if (a === undefined || b === undefined)
    throw new Error(`the ${a ? "inner" : "outer"} range ${a ? inner : outer} is not an address range`);
  if (a.family !== b.family || a.prefix > b.prefix) return false;
  if (a.prefix === 0) return true;
  const list = new BlockList();
  list.addSubnet(a.address, a.prefix, a.family);
  return list.check(b.address, b.family);
}

/**
 * IPv4-mapped IPv6 addresses. Their packets are IPv4 packets. This range is not in `internalRanges`, because Kubernetes refuses
 * it as an exception of a rule.
 */
const mappedRange = "::ffff:0:0/96";

/**
 * The internal range that contains the given range, if there is one. The config refuses a tenant's rule for such a range, unless
 * the rule has `private: true` and the internal range is one of `privateRanges`.
 */
export const internalRangeOf = (cidr: string): string | undefined =>
  [...internalRanges, mappedRange].find((range) => contains(range, cidr));

/** The range of metadata services that contains the given range, if there is one. */
export const metadataRangeOf = (cidr: string): string | undefined =>
  metadataRanges.find((range) => contains(range, cidr));

/**
 * The address ranges that a rule for `cidr` must exclude: of the internal ranges, the metadata services and `more`, those that
 * are smaller parts of `cidr`. A range that lies in another excluded range is left out.
 */
export function exceptionsIn(cidr: string, more: string[] = []): string[] {
  const inside = [...internalRanges, ...metadataRanges, ...more].filter(
    (range) => contains(cidr, range) && !contains(range, cidr),
  );
  const isIn = (range: string, other: string) => contains(other, range) && !contains(range, other);
  return [...new Set(inside)].filter((range) => !inside.some((other) => isIn(range, other)));
}
