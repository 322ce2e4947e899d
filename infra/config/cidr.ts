/** Address ranges for egress rules. */
import { BlockList, isIP } from "node:net";

/**
 * Ranges that no session may ever reach by an address rule: private networks, the cluster itself, cloud metadata (Azure's
 * has a public address), loopback, multicast, and the IPv6 ranges that carry IPv4 addresses inside (NAT64, Teredo, 6to4).
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

/** Whether `inner` lies in `outer`; equal ranges do. Both must be valid. */
export function contains(outer: string, inner: string): boolean {
  const [a, b] = [parse(outer), parse(inner)];
  if (a === undefined || b === undefined) throw new Error(`not an address range: ${a ? inner : outer}`);
  if (a.family !== b.family || a.prefix > b.prefix) return false;
  if (a.prefix === 0) return true;
  const list = new BlockList();
  list.addSubnet(a.address, a.prefix, a.family);
  return list.check(b.address, b.family);
}

/** IPv4 addresses in the clothes of IPv6. On the wire they are IPv4; Kubernetes refuses them as an exception. */
const mappedRange = "::ffff:0:0/96";

/** The internal range in which the given range lies, if any: a rule for it could allow nothing. */
export const internalRangeOf = (cidr: string): string | undefined =>
  [...internalRanges, mappedRange].find((range) => contains(range, cidr));

/** The ranges to cut out of a rule for `cidr`: the internal ones, and those of `more` that aren't internal anyway. */
export const exceptionsIn = (cidr: string, more: string[] = []): string[] =>
  [...internalRanges, ...more.filter((range) => internalRangeOf(range) === undefined)].filter(
    (range) => contains(cidr, range) && range !== cidr,
  );
