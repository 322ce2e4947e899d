/** Desktop tickets: a short-lived permission to see one session's desktop, made to be put into a link. */
import { createHmac } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { DesktopMode } from "./rfbClient.ts";

/** Seconds a ticket is good for unless something else is asked for. What it opened stays open. */
export const defaultLifetimeSeconds = 300;

const audience = "berth-desktop";
const Claims = z.object({ sub: z.uuid(), tenant: z.string(), mode: z.enum(["interactive", "view"]) });

export interface Ticket {
  sessionId: string;
  tenant: string;
  /** What its holders may do at the desktop: use it, or look at it. */
  mode: DesktopMode;
}

export class Tickets {
  readonly #key: Uint8Array;

  /** Signed with the token key itself: a JWT's signed text has no colon, so no proxy token can be taken for one. */
  constructor(tokenKey: string) {
    this.#key = new TextEncoder().encode(tokenKey);
  }

  /** Anyone who has the ticket may use it, any number of times until it expires: it is made to be handed on. */
  async issue(
    { sessionId, tenant, mode }: Ticket,
    lifetimeSeconds = defaultLifetimeSeconds,
  ): Promise<{ ticket: string; expiresAt: Date }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const ticket = await new SignJWT({ tenant, mode })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(sessionId)
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifetimeSeconds)
      .sign(this.#key);
    return { ticket, expiresAt: new Date((issuedAt + lifetimeSeconds) * 1000) };
  }

  /** What the ticket allows, or undefined if it is not ours, has expired or is damaged. */
  async verify(ticket: string): Promise<Ticket | undefined> {
    try {
      const { payload } = await jwtVerify(ticket, this.#key, {
        algorithms: ["HS256"],
        audience,
        requiredClaims: ["exp"],
      });
      const claims = Claims.parse(payload);
      return { sessionId: claims.sub, tenant: claims.tenant, mode: claims.mode };
    } catch {
      return undefined;
    }
  }
}

/** The token that a session's vnc-proxy asks for: derived from the session's id, so that it is stored nowhere. */
export function proxyToken(tokenKey: string, sessionId: string): string {
  return createHmac("sha256", tokenKey).update(`proxy:${sessionId}`).digest("base64url");
}
