/** API keys: generated, or known by their hash, or lying in a Secret. */
import { z } from "zod";
import { name, time } from "./scalars.ts";

const scopes = ["read", "write", "desktop"] as const;

const key = z.strictObject({
  name: name.describe("The key's name, as audit trails show it."),
  expiresAt: time
    .nullable()
    .default(null)
    .describe("When the key stops working, for example 2027-01-31 or 2027-01-31T18:00:00+01:00; null for never."),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: "is not a SHA-256 in hex: 64 of 0-9 and a-f" })
    .nullable()
    .default(null)
    .describe("SHA-256 in hex of a key that its holder made; null to generate one."),
  secret: name
    .nullable()
    .default(null)
    .describe("Name of a Secret in the namespace berth whose key `key` is the API key; null to generate one."),
});

const tenantKey = key.extend({
  scopes: z
    .array(z.enum(scopes, { error: `is none of ${scopes.join(", ")}` }))
    .min(1, { error: "is empty; name at least one scope" })
    .default([...scopes])
    .describe("What the key is good for: read, write, desktop."),
});

type Key = z.output<typeof key>;

/** Names are told apart in outputs and audit trails, and a key comes from one place. */
function checkKeys(check: z.core.ParsePayload<Key[]>): void {
  const names = check.value.map((one) => one?.name);
  check.value.forEach((one, index) => {
    const fault = (path: string, message: string) =>
      check.issues.push({ code: "custom", input: one, path: [index, path], message });
    const first = names.indexOf(one?.name);
    if (one?.name !== undefined && first !== index) fault("name", `is the name of the list's [${first}] already`);
    if (one?.sha256 && one.secret) fault("secret", "comes on top of sha256; leave one of the two out");
  });
}

/** A tenant's keys; by default one for all scopes that never expires. */
export const tenantKeys = z
  .array(tenantKey)
  .check(checkKeys)
  .default([tenantKey.parse({ name: "default" })]);

/** The admin's keys; by default one that never expires. */
export const adminKeys = z
  .array(key)
  .check(checkKeys)
  .default([key.parse({ name: "default" })]);

export type KeyConfig = Key;
export type TenantKeyConfig = z.output<typeof tenantKey>;
