/**
 * Keeps webhooks away from addresses that are not public. Tenants choose the URLs, and must not reach the cluster, the
 * cloud's metadata service or this machine with them. The check covers not only the host's name, but the address to which
 * the process really connects.
 */
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";

export class AddressRefused extends Error {
  override name = "AddressRefused";
  constructor(address: string) {
    super(`${address} is not a public address`);
  }
}

/**
 * Whether the address belongs to the public internet, and not to a private, local, shared or other special range. An
 * IPv4-mapped IPv6 address counts as the IPv4 address in it.
 */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}

/** Throws AddressRefused if the URL's host is an IP address that is not public. `publicLookup` checks the addresses of names. */
export function refuseAddress({ hostname }: URL): void {
  const address = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(address) !== 0 && !isPublic(address)) throw new AddressRefused(address);
}

/** Resolves a host name as Node.js does, and fails if one of its addresses is not public. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const refused = addresses?.find(({ address }) => !isPublic(address));
    const failure = error ?? (refused && new AddressRefused(`${hostname} (${refused.address})`));
    const [first] = addresses ?? [];
    if (failure || first === undefined) return callback(failure ?? new Error(`${hostname} has no address`), "", 0);
    if (options.all === true) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};
