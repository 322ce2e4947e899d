/** API keys. Each key comes from one of three sources: Berth generates it, the config has its hash, or a Secret holds it. */
import { z } from "zod";
import { name, subdomain, time } from "./scalars.ts";
import { uniqueNames } from "./unique-names.ts";

const scopes = ["read", "write", "desktop"] as const;

const key = z.strictObject({
  name: name.describe("The key's name in audit trails and outputs."),
  expiresAt: time
    .nullable()
    .default(null)
    .describe(
      "When the key stops working, for example 2027-01-31 or 2027-01-31T18:00:00+01:00. Null: the key never stops working.",
    ),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: "is not a SHA-256 in hex: 64 of 0-9 and a-f" })
    .nullable()
    .default(null)
    .describe(
      "The SHA-256, in hex, of a key that its holder created. If `sha256` and `secret` are both null, Berth generates a key.",
    ),
  secret: subdomain
    .nullable()
    .default(null)
    .describe(
      "The name of a Secret in the platform's namespace that holds the API key under `key`. If `sha256` and `secret` are both null, Berth generates a key.",
    ),
});

const tenantKey = key.extend({
  scopes: z
    .array(z.enum(scopes, { error: `is none of ${scopes.join(", ")}` }))
    .min(1, { error: "is empty; name at least one scope" })
    .default([...scopes])
    .describe("What requests with the key may do: read, write, desktop."),
});

type Key = z.output<typeof key>;

/** Refuses a key with two sources, and two keys with the same name, because outputs and audit trails show only a key's name. */
function checkKeys(check: z.core.ParsePayload<Key[]>): void {
  uniqueNames()(check);
  check.value.forEach((one, index) => {
    if (!one?.sha256 || !one.secret) return;
    const message = "is set, and sha256 too; remove one of the two";
    check.issues.push({ code: "custom", input: one, path: [index, "secret"], message });
  });
}

/** A tenant's keys. Default: one key that has all scopes and never expires. */
export const tenantKeys = z
  .array(tenantKey)
  .check(checkKeys)
  .default([tenantKey.parse({ name: "default" })]);

/** The admin's keys. Default: one key that never expires. */
export const adminKeys = z
  .array(key)
  .check(checkKeys)
  .default([key.parse({ name: "default" })]);

export type KeyConfig = Key;
export type TenantKeyConfig = z.output<typeof tenantKey>;
