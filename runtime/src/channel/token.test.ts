import { expect, test } from "vitest";
import { TokenKeys } from "../config/tokenKeys.ts";
import { proxyToken, sessionOf, sessionToken } from "./token.ts";

const key = "0123456789abcdef0123456789abcdef";
const keys = TokenKeys.one(key);
const id = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const other = "00000000-0000-4000-8000-000000000000";

test("a session's token authenticates that session", () => {
  expect(sessionOf(keys, sessionToken(key, id))).toBe(id);
});

test("other tokens are refused: another session's proof, the desktop's token, another key, a text that is no token", () => {
  const [, proof = ""] = sessionToken(key, id).split(".");
  for (const token of [
    `${other}.${proof}`,
    `${id}.${proxyToken(key, id)}`,
    sessionToken("f".repeat(32), id),
    id,
    `${id}.`,
    `${id}.${proof}x`,
    `${id}.${"ä".repeat(43)}`,
    "",
  ]) {
    expect(sessionOf(keys, token), token).toBeUndefined();
  }
});

test("each session has its own proxy token, which is always the same", () => {
  expect(proxyToken(key, "a")).toBe(proxyToken(key, "a"));
  expect(proxyToken(key, "a")).not.toBe(proxyToken(key, "b"));
  expect(proxyToken(key, "a")).toMatch(/^[A-Za-z0-9_-]{43}$/);
});
