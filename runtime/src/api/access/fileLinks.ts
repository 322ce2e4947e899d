/** Links to one file of a session, to read or to write it, which whoever has one may use until it expires. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

const audience = "berth-file";
const Claims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  path: z.string(),
  access: z.enum(["read", "write"]),
  jti: z.string(),
  by: Credential,
});

/** What a link is made for. */
export interface FilePermission {
  sessionId: string;
  tenant: string;
  path: string;
  access: "read" | "write";
}

export interface FileLink extends FilePermission {
  id: string;
  /** Whether it was noted when it was made (grants.ts), as all are since that exists. */
  noted: boolean;
  /** What the link was made with: without it the link is good for nothing. */
  credential: Credential;
}

export class FileLinks {
  constructor(private readonly keys: TokenKeys) {}

  /** `by` is the credential of the caller that the link is made for. */
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

  /** What the link allows, or undefined if it is not ours, has expired or is damaged. */
  async verify(link: string): Promise<FileLink | undefined> {
    const verified = await verify(this.keys, audience, Claims, link);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, path, access, jti: id, by: credential } = verified.claims;
    return { sessionId, tenant, path, access, id, noted: verified.namesKey, credential };
  }
}
