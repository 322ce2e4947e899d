/**
 * The tokens of a session's pod. They are derived from a token key and the session's id, so Berth's database does not
 * store them. In the cluster, the session's Secret contains them.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { SessionTokens } from "../cluster/podSpec/podSpec.ts";
import { firstKeyId, type TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";

/**
 * The token by which the pod authenticates, and by which the pod recognizes the platform: `<session id>.<key
 * id>.<proof>`. A token of the first key contains no key id, because older versions of Berth, whose keys had no ids,
 * made such tokens, and these tokens must stay valid.
 */
export function sessionToken(key: string, sessionId: string, keyId = firstKeyId): string {
  const proof = createHmac("sha256", key).update(`session:${sessionId}`).digest("base64url");
  return [sessionId, ...(keyId === firstKeyId ? [] : [keyId]), proof].join(".");
}

/** The id of the session that the token belongs to; undefined if the token is not valid. */
export function sessionOf(keys: TokenKeys, token: string): string | undefined {
  const [, id, keyText = String(firstKeyId)] = /^([0-9a-f-]{36})\.(?:([1-9]\d{0,4})\.)?[\w-]{43}$/.exec(token) ?? [];
  const key = keys.get(Number(keyText));
  if (id === undefined || key === undefined) return undefined;
  const right = Buffer.from(sessionToken(key, id, Number(keyText)));
  const given = Buffer.from(token);
  return given.length === right.length && timingSafeEqual(given, right) ? id : undefined;
}

/** The token that a session's vnc-proxy expects. */
export function proxyToken(key: string, sessionId: string): string {
  return createHmac("sha256", key).update(`proxy:${sessionId}`).digest("base64url");
}

/**
 * The tokens of the session's pod, made from the session's token key (`tokenKey`). Undefined: this process does not know
 * that key.
 */
export function tokensOf(
  keys: TokenKeys,
  { id, tokenKey }: Pick<Session, "id" | "tokenKey">,
): SessionTokens | undefined {
  const key = keys.get(tokenKey);
  if (key === undefined) return undefined;
  return {
    get proxy() {
      return proxyToken(key, id);
    },
    get session() {
      return sessionToken(key, id, tokenKey);
    },
  };
}
