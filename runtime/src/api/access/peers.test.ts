import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { TokenKeys } from "../../config/tokenKeys.ts";
import { Peers } from "./peers.ts";

const keys = (current = 1) =>
  new TokenKeys(
    new Map([
      [1, "0123456789abcdef0123456789abcdef"],
      [2, "another of 32 characters or more."],
    ]),
    current,
  );
const from = (remoteAddress: string, headers: Record<string, string> = {}) =>
  ({ headers, socket: { remoteAddress }, connection: { remoteAddress } }) as unknown as IncomingMessage;
const claimed = { "x-forwarded-for": "192.0.2.7" };

test("the other one is believed wherever it is, proxies by their network, and nobody else", () => {
  const peers = new Peers(keys(), ["10.0.0.0/8"]);
  const told = peers.headersFor("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", told))).toBe("192.0.2.7");
  expect(peers.addressOf(from("10.0.0.1", claimed))).toBe("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", claimed))).toBe("172.16.0.1");
  expect(peers.addressOf(from("172.16.0.1", { ...claimed, "x-berth-peer": "x" }))).toBe("172.16.0.1");
  // While keys rotate, the one may sign by another than the other.
  expect(peers.addressOf(from("172.16.0.1", new Peers(keys(2)).headersFor("192.0.2.7")))).toBe("192.0.2.7");
  const another = new Peers(TokenKeys.one("nobody's, and of 32 characters, too")).headersFor("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", another))).toBe("172.16.0.1");
});

test("a connection of the other one, or of a proxy, is many callers'", () => {
  const peers = new Peers(keys(), ["10.0.0.0/8"]);
  expect(peers.isShared(from("172.16.0.1", peers.headersFor(undefined)))).toBe(true);
  expect(peers.isShared(from("10.0.0.1"))).toBe(true);
  expect(peers.isShared(from("172.16.0.1"))).toBe(false);
});
