/** What a caller is let in by, kept with whatever goes on for long, so that it ends when the caller may not any more; pure. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type Scope, scopes, type Tenant } from "../../domain/tenants.ts";

/** A key by its hash's beginning, an identity provider's token by its end, or a link that ends by its own time. */
export const Credential = z.discriminatedUnion("is", [
  z.object({
    is: z.literal("key"),
    tenant: z.string(),
    name: z.string(),
    fingerprint: z.string(),
    scopes: z.array(z.enum(scopes)),
  }),
  /** `expiresAt` in milliseconds since 1970. */
  z.object({ is: z.literal("token"), tenant: z.string(), expiresAt: z.number() }),
  z.object({ is: z.literal("link"), tenant: z.string(), expiresAt: z.number() }),
]);
export type Credential = z.infer<typeof Credential>;

/** The beginning of a key's SHA-256: long enough to tell a tenant's keys apart. */
const fingerprintLength = 16;

export function keyCredential(tenant: string, name: string, key: string, keyScopes: readonly Scope[]): Credential {
  const fingerprint = createHash("sha256").update(key).digest("hex").slice(0, fingerprintLength);
  return { is: "key", tenant, name, fingerprint, scopes: [...keyScopes] };
}

/**
 * Why the credential is good for nothing any more, for people; undefined if it still lets in as it did. A key that lost a
 * scope counts as lost, because what it opened may be by that scope. Costs time with the number of the tenant's keys.
 */
export function lossOf(
  credential: Credential,
  tenants: { get: (name: string) => Tenant | undefined },
  now = Date.now(),
): string | undefined {
  const tenant = tenants.get(credential.tenant);
  if (tenant === undefined) return `There is no tenant ${credential.tenant} any more.`;
  if (credential.is === "link") return credential.expiresAt <= now ? "The link has expired." : undefined;
  if (credential.is === "token") return credential.expiresAt <= now ? "The token has expired." : undefined;
  const { name, fingerprint } = credential;
  const key = tenant.keys.find(({ sha256 }) => sha256.startsWith(fingerprint));
  if (key === undefined) return `The key ${name} has been removed.`;
  if (key.expiresAt !== null && Date.parse(key.expiresAt) <= now) return `The key ${name} has expired.`;
  const scope = credential.scopes.find((one) => !key.scopes.includes(one));
  return scope && `The key ${name} has lost the scope ${scope}.`;
}
