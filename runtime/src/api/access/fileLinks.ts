/** Links to read or write one file of a session. Everybody who has a link may use it until the link expires or is revoked. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

const audience = "berth-file";
const TokenClaims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  path: z.string(),
  access: z.enum(["read", "write"]),
  jti: z.string(),
  by: Credential,
});

/** What a link allows. */
export interface FilePermission {
  sessionId: string;
  tenant: string;
  path: string;
  access: "read" | "write";
}

export interface FileLink extends FilePermission {
  id: string;
  /** Whether the link has a stored grant (grants.ts). Only links that an older version of Berth made have no grant. */
  noted: boolean;
  /** The credential of the caller that made the link. If the credential is no longer valid, the link is not valid either. */
  credential: Credential;
}

export class FileLinks {
  constructor(private readonly keys: TokenKeys) {}

  /** `by` is the credential of the caller for whom the link is made. */
  async issue(
    { sessionId, tenant, path, access }: FilePermission,
    by: Credential,
    lifetimeSeconds: number,
  ): Promise<{ link: string; id: string; expiresAt: Date }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const id = randomUUID();
    const expiresAt = new Date((issuedAt + lifetimeSeconds) * 1000);
    const claims = { tenant, path, access, by, iat: issuedAt };
    return { link: await sign(this.keys, audience, { sessionId, id, expiresAt }, claims), id, expiresAt };
  }

  /** What the link allows; undefined if the link's signature is not valid, or if the link has expired or is damaged. */
  async verify(link: string): Promise<FileLink | undefined> {
    const verified = await verify(this.keys, audience, TokenClaims, link);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, path, access, jti: id, by: credential } = verified.claims;
    return { sessionId, tenant, path, access, id, noted: verified.namesKey, credential };
  }
}
