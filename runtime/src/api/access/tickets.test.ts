import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { TokenKeys } from "../../config/tokenKeys.ts";
import { Tickets } from "./tickets.ts";

const key = "0123456789abcdef0123456789abcdef";
const by = { is: "key", tenant: "acme", name: "default", fingerprint: "0123", scopes: ["desktop"] } as const;
const credential = { ...by, scopes: [...by.scopes] };
const ticket = { sessionId: "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11", tenant: "acme", mode: "interactive" } as const;

test("a ticket says its session, its tenant, and what its holder may do, for five minutes", async () => {
  const tickets = new Tickets(TokenKeys.one(key));
  const before = Date.now();
  const issued = await tickets.issue(ticket, credential);
  expect(await tickets.verify(issued.ticket)).toEqual({ ...ticket, noted: true, id: expect.any(String), credential });
  expect((issued.expiresAt.getTime() - before) / 1000).toBeGreaterThan(298);
  expect((issued.expiresAt.getTime() - Date.now()) / 1000).toBeLessThanOrEqual(300);
});

test("a ticket that is damaged, expired, of another key or for another purpose is refused", async () => {
  const tickets = new Tickets(TokenKeys.one(key));
  const { ticket: good } = await tickets.issue(ticket, credential);
  const damaged = good.replace(/\.([^.])([^.]*)$/, (_, first, rest) => `.${first === "A" ? "B" : "A"}${rest}`);
  expect(await tickets.verify(damaged)).toBeUndefined();
  expect(await new Tickets(TokenKeys.one(`${key}!`)).verify(good)).toBeUndefined();
  expect(await tickets.verify("")).toBeUndefined();
  const sign = (audience: string, expires: number) =>
    new SignJWT({ tenant: "acme", mode: "interactive" })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(ticket.sessionId)
      .setAudience(audience)
      .setJti("one")
      .setExpirationTime(Math.floor(Date.now() / 1000) + expires)
      .sign(new TextEncoder().encode(key));
  expect(await tickets.verify(await sign("berth-desktop", 60))).toMatchObject(ticket);
  expect(await tickets.verify(await sign("berth-desktop", -60))).toBeUndefined();
  expect(await tickets.verify(await sign("something-else", 60))).toBeUndefined();
});

test("a view link has its own expiry, an interactive ticket depends on the credential that made it; each has an id", async () => {
  const tickets = new Tickets(TokenKeys.one(key));
  const link = await tickets.issue({ ...ticket, mode: "view" }, credential, 60);
  const verified = await tickets.verify(link.ticket);
  expect(verified?.credential).toEqual({ is: "link", tenant: "acme", expiresAt: link.expiresAt.getTime() });
  const others = await Promise.all([1, 2].map(async () => (await tickets.issue(ticket, credential)).ticket));
  expect(new Set(await Promise.all(others.map(async (text) => (await tickets.verify(text))?.id))).size).toBe(2);
});

test("a ticket that an older version made stays valid after an upgrade until its expiry", async () => {
  const tickets = new Tickets(TokenKeys.one(key));
  const end = Math.floor(Date.now() / 1000) + 3_600;
  const old = await new SignJWT({ tenant: "acme", mode: "view" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(ticket.sessionId)
    .setAudience("berth-desktop")
    .setIssuedAt()
    .setExpirationTime(end)
    .sign(new TextEncoder().encode(key));
  const verified = await tickets.verify(old);
  expect(verified).toMatchObject({ mode: "view", credential: { is: "link", tenant: "acme", expiresAt: end * 1_000 } });
  expect(verified?.id).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect((await tickets.verify(old))?.id).toBe(verified?.id);
});
