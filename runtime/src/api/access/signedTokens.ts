/** JWTs signed with the token key itself. Each kind has an audience of its own, so that none is taken for another. */
import { type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";

/** What every kind says: of which session it is, its own id, and until when it is good. */
export interface Signed {
  sessionId: string;
  id: string;
  expiresAt: Date;
}

/** Signs with the current key. `claims` is what the kind says beside that. */
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
 * The claims, and whether the text names its key, as all do that were made since keys have ids. Undefined if the text is not
 * ours, is of another audience, has expired or is damaged.
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
