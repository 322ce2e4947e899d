/** Desktop tickets: short-lived permissions for the desktop of one session, made to be put into a link. */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

/** For how many seconds a ticket is valid by default. */
export const defaultLifetimeSeconds = 300;

const audience = "berth-desktop";
const TokenClaims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  mode: z.enum(["interactive", "view"]),
  exp: z.number(),
  /** Tickets of older versions have no id. */
  jti: z.string().optional(),
  by: Credential.optional(),
});

/** Whether a user may control a desktop or only watch it. */
export type DesktopMode = "interactive" | "view";

/** What a ticket allows. */
export interface Permission {
  sessionId: string;
  tenant: string;
  /** Whether the holder may control the desktop or only watch it. */
  mode: DesktopMode;
}

export interface Ticket extends Permission {
  /** An id that no other ticket of the session has. */
  id: string;
  /**
   * Whether the ticket has a stored grant (grants.ts). Only tickets that an older version of Berth made have no grant.
   */
  noted: boolean;
  /**
   * Decides how long a desktop that was opened with the ticket stays open. A desktop in view mode ends when the ticket
   * expires. An interactive desktop stays open as long as the credential with which the ticket was made is valid.
   */
  credential: Credential;
}

export class Tickets {
  /**
   * The token key signs the tickets, and the same key makes the proxy tokens (token.ts) from texts that contain a colon.
   * A JWT contains no colon, so the signature of a ticket is never a proxy token.
   */
  constructor(private readonly keys: TokenKeys) {}

  /**
   * Everybody who has the ticket may use it any number of times until the ticket expires or is revoked. `by` is the credential
   * of the caller for whom the ticket is made.
   */
  async issue(
    { sessionId, tenant, mode }: Permission,
    by: Credential,
    lifetimeSeconds = defaultLifetimeSeconds,
  ): Promise<{ ticket: string; id: string; expiresAt: Date }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const id = randomUUID();
    const expiresAt = new Date((issuedAt + lifetimeSeconds) * 1000);
    const claims = { tenant, mode, ...(mode === "interactive" && { by }), iat: issuedAt };
    return { ticket: await sign(this.keys, audience, { sessionId, id, expiresAt }, claims), id, expiresAt };
  }

  /** What the ticket allows; undefined if the ticket's signature is not valid, or if the ticket has expired or is damaged. */
  async verify(ticket: string): Promise<Ticket | undefined> {
    const verified = await verify(this.keys, audience, TokenClaims, ticket);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, mode, exp, jti, by } = verified.claims;
    const id = jti ?? createHash("sha256").update(ticket).digest("base64url");
    const credential = by ?? { is: "link", tenant, expiresAt: exp * 1_000 };
    return { sessionId, tenant, mode, id, noted: verified.namesKey, credential };
  }
}
