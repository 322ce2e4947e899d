/**
 * What a caller was admitted with: a key, a token or a link. A long-lived connection stores its caller's credential, and
 * ends when the credential is no longer valid. Pure: no I/O.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type Scope, scopes, type Tenant } from "../../domain/tenants.ts";

/**
 * What Berth stores of a key, an identity provider's token or a link, to check later whether it is still valid. Of a key:
 * its name, the beginning of its hash, and its scopes. Of a token or a link: the time when it expires. No secret is stored.
 */
export const Credential = z.discriminatedUnion("is", [
  z.object({
    is: z.literal("key"),
    tenant: z.string(),
    name: z.string(),
    fingerprint: z.string(),
    scopes: z.array(z.enum(scopes)),
  }),
  // `expiresAt` is in milliseconds since 1970.
  z.object({ is: z.literal("token"), tenant: z.string(), expiresAt: z.number() }),
  z.object({ is: z.literal("link"), tenant: z.string(), expiresAt: z.number() }),
]);
export type Credential = z.infer<typeof Credential>;

/** How many hex digits of a key's SHA-256 are stored: enough to distinguish a tenant's keys. */
const fingerprintLength = 16;

export function keyCredential(tenant: string, name: string, key: string, keyScopes: readonly Scope[]): Credential {
  const fingerprint = createHash("sha256").update(key).digest("hex").slice(0, fingerprintLength);
  return { is: "key", tenant, name, fingerprint, scopes: [...keyScopes] };
}

/**
 * A text for the user that says why the credential is no longer valid; undefined if the credential is still valid. A key
 * that has lost a scope counts as lost, because the connection may depend on that scope. For a key, the function
 * searches all keys of the tenant, so its cost grows with their number.
 */
export function lossOf(
  credential: Credential,
  tenants: { get: (name: string) => Tenant | undefined },
  now = Date.now(),
): string | undefined {
  const tenant = tenants.get(credential.tenant);
  if (tenant === undefined) return `The tenant ${credential.tenant} does not exist any more.`;
  if (credential.is === "link") return credential.expiresAt <= now ? "The link has expired." : undefined;
  if (credential.is === "token") return credential.expiresAt <= now ? "The token has expired." : undefined;
  const { name, fingerprint } = credential;
  const key = tenant.keys.find(({ sha256 }) => sha256.startsWith(fingerprint));
  if (key === undefined) return `The key ${name} has been removed.`;
  if (key.expiresAt !== null && Date.parse(key.expiresAt) <= now) return `The key ${name} has expired.`;
  const scope = credential.scopes.find((one) => !key.scopes.includes(one));
  return scope && `The key ${name} has lost the scope ${scope}.`;
}
