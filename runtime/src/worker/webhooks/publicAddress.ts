/**
 * Keeps webhooks from reaching what only this side can reach: tenants choose where they go, and must not choose the cluster,
 * the cloud's metadata or this machine. Checked are the addresses that are then connected to, not only the name's.
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

/** Whether the address is one of the public internet: no private, local, shared, mapped or otherwise special range. */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}

/** Throws AddressRefused if the URL's host is an address that isn't public; names are for `publicLookup` to check. */
export function refuseAddress({ hostname }: URL): void {
  const address = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(address) !== 0 && !isPublic(address)) throw new AddressRefused(address);
}

/** Looks a name up as Node does, and fails if any of its addresses isn't public. */
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
