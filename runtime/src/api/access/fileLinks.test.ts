import { jwtVerify, SignJWT } from "jose";
import { afterEach, expect, test, vi } from "vitest";
import { TokenKeys } from "../../config/tokenKeys.ts";
import { credentialOf } from "../../testing/fixtures.ts";
import { FileLinks } from "./fileLinks.ts";
import { Tickets } from "./tickets.ts";

const tokenKey = "0123456789abcdef0123456789abcdef";
const links = new FileLinks(TokenKeys.one(tokenKey));
const permission = {
  sessionId: "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11",
  tenant: "acme",
  path: "a b\n",
  access: "read",
} as const;

afterEach(() => void vi.useRealTimers());

test("until it expires, a link says which file of which session it is for, and what it allows", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { link, id, expiresAt } = await links.issue(permission, credentialOf("acme"), 60);
  expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(58_000);
  expect(await links.verify(link)).toEqual({ ...permission, noted: true, id, credential: credentialOf("acme") });
  vi.setSystemTime(Date.now() + 61_000);
  expect(await links.verify(link)).toBeUndefined();
});

test("a changed link, a link of another key, a link without a signature and a desktop's ticket are refused", async () => {
  const { link } = await links.issue(permission, credentialOf("acme"), 60);
  const [head, body = "", signature] = link.split(".");
  const changed = { ...JSON.parse(Buffer.from(body, "base64url").toString()), access: "write" };
  const others = [
    `${head}.${Buffer.from(JSON.stringify(changed)).toString("base64url")}.${signature}`,
    (await new FileLinks(TokenKeys.one("f".repeat(32))).issue(permission, credentialOf("acme"), 60)).link,
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`,
    (await new Tickets(TokenKeys.one(tokenKey)).issue({ ...permission, mode: "view" }, credentialOf("acme"), 60))
      .ticket,
    "",
    "a.b.c",
  ];
  for (const other of others) expect(await links.verify(other), other).toBeUndefined();
  expect(await new Tickets(TokenKeys.one(tokenKey)).verify(link)).toBeUndefined();
  // This link has the same claims, but no signature.
  const { payload } = await jwtVerify(link, new TextEncoder().encode(tokenKey));
  const { aud: _, ...claims } = payload;
  const free = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(tokenKey));
  expect(await links.verify(free)).toBeUndefined();
});
