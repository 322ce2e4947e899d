/** The token by which a session's pod speaks for its session: derived from the session's id, so that it is stored nowhere. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** `<session id>.<proof>`, which the pod finds as a file. */
export function sessionToken(tokenKey: string, sessionId: string): string {
  const proof = createHmac("sha256", tokenKey).update(`session:${sessionId}`).digest("base64url");
  return `${sessionId}.${proof}`;
}

/** The id of the session that the token speaks for, or undefined if it is not ours or is damaged. */
export function sessionOf(tokenKey: string, token: string): string | undefined {
  const id = /^([0-9a-f-]{36})\.[\w-]{43}$/.exec(token)?.[1];
  if (id === undefined) return undefined;
  return timingSafeEqual(Buffer.from(token), Buffer.from(sessionToken(tokenKey, id))) ? id : undefined;
}
