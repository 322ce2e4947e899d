/** Desktop tickets: a short-lived permission to see one session's desktop, made to be put into a link. */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

/** Seconds a ticket is good for unless something else is asked for. */
export const defaultLifetimeSeconds = 300;

const audience = "berth-desktop";
const Claims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  mode: z.enum(["interactive", "view"]),
  exp: z.number(),
  /** Tickets of Berth before the places of desktops were counted have none. */
  jti: z.string().optional(),
  by: Credential.optional(),
});

/** What somebody may do at a desktop: use it, or look at it. */
export type DesktopMode = "interactive" | "view";

/** What a ticket is made for. */
export interface Permission {
  sessionId: string;
  tenant: string;
  /** What its holders may do at the desktop: use it, or look at it. */
  mode: DesktopMode;
}

export interface Ticket extends Permission {
  /** Tells the tickets of a session apart. */
  id: string;
  /** Whether it was noted when it was made (grants.ts), as all are since that exists. */
  noted: boolean;
  /**
   * For how long what it opened stays open. A view link ends by its own time. An interactive ticket only opens: what it
   * opened lasts as long as the credential that the ticket was made with.
   */
  credential: Credential;
}

export class Tickets {
  /** Signed with the token key itself: a JWT's signed text has no colon, so no proxy token can be taken for one. */
  constructor(private readonly keys: TokenKeys) {}

  /**
   * Anyone who has the ticket may use it, any number of times until it expires: it is made to be handed on. `by` is the
   * credential of the caller that it is made for.
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

  /** What the ticket allows, or undefined if it is not ours, has expired or is damaged. */
  async verify(ticket: string): Promise<Ticket | undefined> {
    const verified = await verify(this.keys, audience, Claims, ticket);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, mode, exp, jti, by } = verified.claims;
    const id = jti ?? createHash("sha256").update(ticket).digest("base64url");
    const credential = by ?? { is: "link", tenant, expiresAt: exp * 1_000 };
    return { sessionId, tenant, mode, id, noted: verified.namesKey, credential };
  }
}
