/**
 * Signed permissions for one port of a session, of two kinds. A ticket is part of a link: one browser opens the link and
 * gets a token in a cookie in place of the ticket. A token allows any number of requests until it expires. Programs send
 * a token in a header.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import type { SessionPort } from "../../domain/sandboxUrl.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

const audiences = { ticket: "berth-port-link", token: "berth-port" } as const;
const TokenClaims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  port: z.int(),
  jti: z.string(),
  exp: z.number(),
  path: z.string(),
  by: Credential,
});

/** Which port is allowed, and until when. */
export interface PortPermission extends SessionPort {
  /** The id of the link that gives the permission. The permission has no other id. */
  id: string;
  tenant: string;
  /** The page in the program to which the link leads: a path with its query. */
  path: string;
  /** The credential of the caller that made the link. Without a valid credential, the permission is not valid either. */
  credential: Credential;
  expiresAt: Date;
}

export class PortTokens {
  constructor(private readonly keys: TokenKeys) {}

  /** Creates a new permission that is valid from now on. The caller has to store a grant with the same id. */
  permit(
    sessionPort: SessionPort,
    { tenant, path, credential }: Pick<PortPermission, "tenant" | "path" | "credential">,
    lifetimeSeconds: number,
  ): PortPermission {
    const { sessionId, port } = sessionPort;
    const expiresAt = new Date((Math.floor(Date.now() / 1000) + lifetimeSeconds) * 1000);
    return { id: randomUUID(), sessionId, port, tenant, path, credential, expiresAt };
  }

  /**
   * Signs the permission. The text is valid until the permission expires. A client sends the token with each
   * request, so a token does not contain the link's path, and stays short.
   */
  sign(kind: keyof typeof audiences, permission: PortPermission): Promise<string> {
    const { port, tenant, path, credential } = permission;
    const claims = { tenant, port, path: kind === "ticket" ? path : "/", by: credential };
    return sign(this.keys, audiences[kind], permission, claims);
  }

  /**
   * What the ticket or token `text` allows at this port; undefined if its signature is not valid, or if the text has expired, is
   * damaged or is for another port.
   */
  async verify(
    kind: keyof typeof audiences,
    text: string,
    sessionPort: SessionPort,
  ): Promise<PortPermission | undefined> {
    const verified = await verify(this.keys, audiences[kind], TokenClaims, text);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, port, path, jti: id, exp, by: credential } = verified.claims;
    if (sessionId !== sessionPort.sessionId || port !== sessionPort.port) return undefined;
    return { id, sessionId, port, tenant, path, credential, expiresAt: new Date(exp * 1000) };
  }
}
