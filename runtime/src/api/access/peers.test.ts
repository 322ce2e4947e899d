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

test("the address header is trusted from the peer process and from the proxies' networks, and from nobody else", () => {
  const peers = new Peers(keys(), ["10.0.0.0/8"]);
  const headers = peers.headersFor("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", headers))).toBe("192.0.2.7");
  expect(peers.addressOf(from("10.0.0.1", claimed))).toBe("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", claimed))).toBe("172.16.0.1");
  expect(peers.addressOf(from("172.16.0.1", { ...claimed, "x-berth-peer": "x" }))).toBe("172.16.0.1");
  // During a key rotation the two processes may sign with different keys.
  expect(peers.addressOf(from("172.16.0.1", new Peers(keys(2)).headersFor("192.0.2.7")))).toBe("192.0.2.7");
  const another = new Peers(TokenKeys.one("nobody's, and of 32 characters, too")).headersFor("192.0.2.7");
  expect(peers.addressOf(from("172.16.0.1", another))).toBe("172.16.0.1");
});

test("a connection from the peer process or a proxy carries the calls of many callers", () => {
  const peers = new Peers(keys(), ["10.0.0.0/8"]);
  expect(peers.isShared(from("172.16.0.1", peers.headersFor(undefined)))).toBe(true);
  expect(peers.isShared(from("10.0.0.1"))).toBe(true);
  expect(peers.isShared(from("172.16.0.1"))).toBe(false);
});
