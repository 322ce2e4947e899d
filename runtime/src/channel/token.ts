/** The tokens of a session's pod: derived from the session's id, so that they are stored nowhere but in the pod. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { SessionTokens } from "../cluster/podSpec.ts";
import { firstKeyId, type TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";

/**
 * By which the pod speaks for its session, and knows the platform: `<session id>.<key id>.<proof>`. The first key's id is left
 * out, as it was before keys had ids.
 */
export function sessionToken(key: string, sessionId: string, keyId = firstKeyId): string {
  const proof = createHmac("sha256", key).update(`session:${sessionId}`).digest("base64url");
  return [sessionId, ...(keyId === firstKeyId ? [] : [keyId]), proof].join(".");
}

/** The id of the session that the token speaks for, or undefined if it is not ours or is damaged. */
export function sessionOf(keys: TokenKeys, token: string): string | undefined {
  const [, id, keyText = String(firstKeyId)] = /^([0-9a-f-]{36})\.(?:([1-9]\d{0,4})\.)?[\w-]{43}$/.exec(token) ?? [];
  const key = keys.get(Number(keyText));
  if (id === undefined || key === undefined) return undefined;
  const right = Buffer.from(sessionToken(key, id, Number(keyText)));
  const given = Buffer.from(token);
  return given.length === right.length && timingSafeEqual(given, right) ? id : undefined;
}

/** The token that a session's vnc-proxy asks for. */
export function proxyToken(key: string, sessionId: string): string {
  return createHmac("sha256", key).update(`proxy:${sessionId}`).digest("base64url");
}

/** What the pod of the session has, by the key that the session was made with. Undefined if that key is not known here. */
export function tokensOf(
  keys: TokenKeys,
  { id, tokenKey }: Pick<Session, "id" | "tokenKey">,
): SessionTokens | undefined {
  const key = keys.get(tokenKey);
  return key === undefined ? undefined : { proxy: proxyToken(key, id), session: sessionToken(key, id, tokenKey) };
}
