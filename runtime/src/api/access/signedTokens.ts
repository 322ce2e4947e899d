/** JWTs signed with the token key. Each kind has its own audience, so that one kind can't be used as another. */
import { type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";

/** The claims of every kind: the session, the token's id, and the time until which the token is valid. */
export interface Signed {
  sessionId: string;
  id: string;
  expiresAt: Date;
}

/** Signs with the current key. `claims` are the additional claims of the kind. */
export function sign(
  keys: TokenKeys,
  audience: string,
  { sessionId, id, expiresAt }: Signed,
  claims: JWTPayload,
): Promise<string> {
  const kid = String(keys.current);
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", kid })
    .setSubject(sessionId)
    .setAudience(audience)
    .setJti(id)
    .setExpirationTime(expiresAt)
    .sign(keys.byKid(kid));
}

/**
 * Verifies the text, which is a signed token. Returns the token's claims, and whether the token names the key that signed the
 * token. Only tokens that an older version of Berth signed name no key. Undefined if the text has another signature or audience,
 * has expired or is damaged.
 */
export async function verify<T>(
  keys: TokenKeys,
  audience: string,
  schema: z.ZodType<T>,
  text: string,
): Promise<{ claims: T; namesKey: boolean } | undefined> {
  try {
    const { payload, protectedHeader } = await jwtVerify(text, ({ kid }: { kid?: string }) => keys.byKid(kid), {
      algorithms: ["HS256"],
      audience,
      requiredClaims: ["exp"],
    });
    return { claims: schema.parse(payload), namesKey: protectedHeader.kid !== undefined };
  } catch {
    return undefined;
  }
}
