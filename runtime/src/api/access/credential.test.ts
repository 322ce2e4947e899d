import { expect, test } from "vitest";
import { credentialOf, keyOf, sha256, tenant } from "../../testing/fixtures.ts";
import { type Credential, lossOf } from "./credential.ts";

const now = Date.parse("2026-11-28T00:00:00Z");
const key = { name: "default", sha256: sha256(keyOf("acme")) };
const acme = (changes: object) => ({ get: (name: string) => (name === "acme" ? tenant(name, changes) : undefined) });

test.each([
  ["it is as it was", { keys: [key] }, undefined],
  ["its end is to come", { keys: [{ ...key, expiresAt: "2026-11-28T00:00:01Z" }] }, undefined],
  ["another key has its name", { keys: [{ ...key, sha256: sha256("x") }] }, "The key default has been removed."],
  ["its end is reached", { keys: [{ ...key, expiresAt: "2026-11-28T00:00:00Z" }] }, "The key default has expired."],
  ["it has fewer scopes", { keys: [{ ...key, scopes: ["read"] }] }, "The key default has lost the scope write."],
])("of a key: %s", (_name, changes, why) => {
  expect(lossOf(credentialOf("acme"), acme(changes), now)).toBe(why);
});

test.each(["link", "token"] as const)("a %s is valid until its expiry, and as long as its tenant exists", (is) => {
  const credential: Credential = { is, tenant: "acme", expiresAt: now };
  expect(lossOf(credential, acme({}), now - 1)).toBeUndefined();
  expect(lossOf(credential, acme({}), now)).toBe(`The ${is} has expired.`);
  expect(lossOf({ ...credential, tenant: "beta" }, acme({}), now - 1)).toBe("The tenant beta does not exist any more.");
});
