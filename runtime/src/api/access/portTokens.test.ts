import { afterEach, expect, test, vi } from "vitest";
import { TokenKeys } from "../../config/tokenKeys.ts";
import { credentialOf } from "../../testing/fixtures.ts";
import { FileLinks } from "./fileLinks.ts";
import { PortTokens } from "./portTokens.ts";
import { Tickets } from "./tickets.ts";

const keys = TokenKeys.one("0123456789abcdef0123456789abcdef");
const tokens = new PortTokens(keys);
const sessionId = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const sessionPort = { sessionId, port: 8080 };
const by = { tenant: "acme", path: "/a?b", credential: credentialOf("acme") };

afterEach(() => void vi.useRealTimers());

test("a ticket and a token say what they are for until they expire, and can't replace each other", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const permission = tokens.permit(sessionPort, by, 60);
  for (const [kind, other] of [
    ["ticket", "token"],
    ["token", "ticket"],
  ] as const) {
    const text = await tokens.sign(kind, permission);
    expect(await tokens.verify(kind, text, sessionPort)).toEqual({
      ...permission,
      ...(kind === "token" && { path: "/" }),
    });
    expect(await tokens.verify(other, text, sessionPort)).toBeUndefined();
  }
  const text = await tokens.sign("token", permission);
  vi.setSystemTime(Date.now() + 61_000);
  expect(await tokens.verify("token", text, sessionPort)).toBeUndefined();
});

test("tokens of another port, session or key, changed or unsigned tokens, and other kinds of links are refused", async () => {
  const permission = tokens.permit(sessionPort, by, 60);
  const text = await tokens.sign("token", permission);
  expect(await tokens.verify("token", text, { ...sessionPort, port: 8081 })).toBeUndefined();
  expect(
    await tokens.verify("token", text, { ...sessionPort, sessionId: sessionId.replace("6", "7") }),
  ).toBeUndefined();
  const [head, body = "", signature] = text.split(".");
  const changed = { ...JSON.parse(Buffer.from(body, "base64url").toString()), port: 8081 };
  const others = [
    `${head}.${Buffer.from(JSON.stringify(changed)).toString("base64url")}.${signature}`,
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`,
    await new PortTokens(TokenKeys.one("f".repeat(32))).sign("token", permission),
    (await new FileLinks(keys).issue({ sessionId, tenant: "acme", path: "/", access: "read" }, by.credential, 60)).link,
    (await new Tickets(keys).issue({ sessionId, tenant: "acme", mode: "interactive" }, by.credential, 60)).ticket,
    "",
    "a.b.c",
  ];
  for (const other of others) {
    for (const port of [8080, 8081])
      expect(await tokens.verify("token", other, { sessionId, port }), other).toBeUndefined();
  }
  expect(await new FileLinks(keys).verify(text)).toBeUndefined();
  expect(await new Tickets(keys).verify(text)).toBeUndefined();
});
